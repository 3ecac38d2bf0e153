// A session of PostgreSQL: transactions, savepoints and statements, with as few round trips as possible.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "db/driver.hpp"
#include "db/postgres_connection.hpp"
#include "db/postgres_shared.hpp"

namespace hearth::db {

// What needs no answer of its own (BEGIN, the writers' lock, savepoints) is sent along with the next
// statement that does. A failure among these ends the transaction: in_transaction() is false then.
class PostgresSession final : public Session {
 public:
  PostgresSession(std::shared_ptr<PostgresShared> shared, Access access);

  void begin(const WriteScope& scope) override;
  bool try_include(const WriteScope& scope) override;
  void commit() override;
  bool rollback() noexcept override;
  bool in_transaction() const override { return state_ == State::open; }

  void set_savepoint() override;
  void release_savepoint() override;
  void rollback_to_savepoint() override;
  void execute_script(std::string_view sql) override;
  std::vector<Table> list_tables() override;

 protected:
  Rows run_query(std::string_view sql, std::span<const Param> params) override;
  std::int64_t run_execute(std::string_view sql, std::span<const Param> params) override;

 private:
  enum class State {
    none,
    open,
    failed,  // the transaction is lost and has yet to be rolled back
    lost,    // the connection is
  };
  using Statements = std::unordered_map<std::string, std::string>;  // names, by SQL and types
  // What goes to the server in one piece: what was queued, then perhaps a statement.
  struct Batch {
    std::size_t controls = 0;
    std::string_view sql = {};
    bool prepares = false;  // the statement is new
    bool prepared = false;  // and is known to the server now
  };

  std::string set_up() const;
  std::chrono::steady_clock::time_point deadline() const;
  void ensure_connected();
  // Reads the answer to the COMMIT of a read, which nobody has waited for.
  void finish_pending();

  void lock(const WriteScope& scope);

  void queue(std::string_view control) { controls_.push_back(control); }
  bool is_queued_last(std::string_view control) const {
    return !controls_.empty() && controls_.back() == control;
  }
  Result run_statement(std::string_view sql, std::span<const Param> params);
  // The prepared statement, and whether it is new to the server.
  std::pair<Statements::iterator, bool> name_statement(std::string_view sql, std::span<const Param> params);
  std::size_t send_controls();  // how many
  void send_statement(const Statements::value_type& statement, std::string_view sql,
                      std::span<const Param> params, bool is_new);
  void send_end();
  // Reads what a batch answered; the last answer, or throws the first failure.
  Result collect(Batch& batch);
  Result run_controls();
  void note_loss() noexcept;
  void note_changes(const PGresult* result);

  std::shared_ptr<PostgresShared> shared_;
  Access access_;
  std::optional<PostgresConnection> connection_;
  Statements prepared_;
  std::uint64_t names_ = 0;  // given so far; never one twice
  // Texts of static storage, of shared_ or of locks_.
  std::vector<std::string_view> controls_;
  std::vector<std::string_view> sending_;  // those of the last batch
  std::deque<std::string> locks_;          // the statements that take the transaction's first locks
  bool holds_all_ = false;                 // what the transaction may write: everything
  std::set<std::int64_t> held_;            // or the scopes of these keys
  State state_ = State::none;
  bool sent_ = false;            // whether BEGIN has left
  bool failed_ = false;          // a statement has, since the last savepoint
  bool changed_ = false;         // the transaction has changed something
  bool changed_before_ = false;  // what that was at the savepoint
  bool pending_commit_ = false;  // of a read: nobody waits for the answer
};

}  // namespace hearth::db
