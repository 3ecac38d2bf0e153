// What a database engine must offer. Everything in which engines differ is behind these two classes.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "db/connection.hpp"
#include "db/table.hpp"
#include "db/write_scope.hpp"

namespace hearth::db {

enum class Access { read, write };

// A connection with its transactions. Thread: one. Only Database and migrate() drive it.
class Session : public Connection {
 public:
  // read: a snapshot, taken at the first statement at the latest; the scope says nothing. write: alone with
  // the right to write within the scope, waited for as long as the driver is configured to, then Error(busy).
  virtual void begin(const WriteScope& scope) = 0;
  void begin() { begin(WriteScope::everyone()); }
  // Takes the right to write within `scope` into the transaction too, between two savepoints. Never waits:
  // false while another server has it. Where it was had already, nothing happens.
  virtual bool try_include(const WriteScope& scope) = 0;
  // Returns when the transaction is on the disk. Throws when it is not; then nothing of it is.
  virtual void commit() = 0;
  // False when the connection can no longer be used and must be replaced. Does nothing outside a transaction.
  virtual bool rollback() noexcept = 0;
  // False when a failed statement has ended the transaction, all of it.
  virtual bool in_transaction() const = 0;

  // One savepoint at a time inside the transaction.
  virtual void set_savepoint() = 0;
  virtual void release_savepoint() = 0;
  virtual void rollback_to_savepoint() = 0;

  // Whether announce() was called since the last time that somebody asked.
  bool take_announcement() { return std::exchange(announces_, false); }

  // Several statements without arguments: migrations.
  virtual void execute_script(std::string_view sql) = 0;

  // By name, without the engine's own.
  virtual std::vector<Table> list_tables() = 0;
};

// One database. Thread: any.
class Driver {
 public:
  virtual ~Driver() = default;
  // Throws Error(unavailable) with the reason.
  virtual std::unique_ptr<Session> connect(Access access) = 0;
  // See Database::change_token.
  virtual std::uint64_t change_token() = 0;
  // Whether nothing but one commit lies between the two tokens; false where that cannot be told.
  virtual bool is_one_commit(std::uint64_t before, std::uint64_t after) const = 0;
};

}  // namespace hearth::db
