#include "db/postgres_session.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <iterator>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/log.hpp"
#include "db/postgres_text.hpp"

namespace hearth::db {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr std::size_t max_cached_statements = 256;

constexpr std::string_view begin_read = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
constexpr std::string_view begin_write = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";
// One writer at a time in each scope, whichever server it belongs to: stores look before they write. Whoever
// writes within scopes shares the lock that whoever writes everywhere has alone. Locks are taken by
// statements of their own, so that the next one sees what the writer before has committed.
constexpr std::string_view lock_all = "SELECT pg_advisory_xact_lock(7526466502119944296)";
constexpr std::string_view share_all = "SELECT pg_advisory_xact_lock_shared(7526466502119944296)";
constexpr std::string_view try_locks =
    "SELECT CAST(bool_and(pg_try_advisory_xact_lock(CAST(k AS BIGINT))) AS INTEGER) "
    "FROM unnest(string_to_array($1, ' ')) AS k";
constexpr std::string_view savepoint = "SAVEPOINT job";
constexpr std::string_view release = "RELEASE SAVEPOINT job";
constexpr std::string_view rollback_to = "ROLLBACK TO SAVEPOINT job";
constexpr std::string_view forget_statements = "DEALLOCATE ALL";

// The arguments of one execution, as libpq takes them.
class Arguments {
 public:
  explicit Arguments(std::span<const Param> params) {
    texts_.reserve(params.size());
    values_.reserve(params.size());
    for (const Param& param : params) {
      add(param);
    }
  }

  const char* const* values() const { return values_.data(); }
  const int* lengths() const { return lengths_.data(); }
  const int* formats() const { return formats_.data(); }
  int count() const { return static_cast<int>(values_.size()); }

 private:
  // Texts go as they are, with their length: the binary format of TEXT needs no copy that ends with NUL.
  void add(const Param& param) {
    const auto& content = param.content();
    if (std::holds_alternative<std::monostate>(content)) return push(nullptr, 0, 0);
    if (const auto* text = std::get_if<std::string_view>(&content)) {
      if (!needs_escape(*text)) return push(text->empty() ? "" : text->data(), text->size(), 1);
      const std::string& escaped = texts_.emplace_back(escape_text(*text));
      return push(escaped.data(), escaped.size(), 1);
    }
    if (const auto* bytes = std::get_if<BytesView>(&content)) {
      return push(bytes->content.empty() ? "" : bytes->content.data(), bytes->content.size(), 1);
    }
    const auto* integer = std::get_if<std::int64_t>(&content);
    const std::string& written = texts_.emplace_back(
        integer != nullptr ? fmt::format("{}", *integer) : fmt::format("{}", std::get<double>(content)));
    push(written.c_str(), written.size(), 0);
  }
  void push(const char* value, std::size_t length, int format) {
    values_.push_back(value);
    lengths_.push_back(static_cast<int>(length));
    formats_.push_back(format);
  }

  std::vector<std::string> texts_;  // reserved: it does not move what the values point to
  std::vector<const char*> values_;
  std::vector<int> lengths_;
  std::vector<int> formats_;
};

std::int64_t changed_rows(const PGresult* result) {
  const std::string_view text = PQcmdTuples(const_cast<PGresult*>(result));
  std::int64_t count = 0;
  std::from_chars(text.data(), text.data() + text.size(), count);
  return count;
}

Rows read_rows(const PGresult* result) {
  const int columns = PQnfields(result);
  Rows rows(static_cast<std::size_t>(columns));
  for (int row = 0; row < PQntuples(result); ++row) {
    for (int column = 0; column < columns; ++column) {
      if (PQgetisnull(result, row, column) != 0) {
        rows.append(std::monostate());
        continue;
      }
      rows.append(parse_column(
          PQftype(result, column),
          {PQgetvalue(result, row, column), static_cast<std::size_t>(PQgetlength(result, row, column))}));
    }
  }
  return rows;
}

bool changes_rows(const PGresult* result) {
  const std::string_view command = PQcmdStatus(const_cast<PGresult*>(result));
  if (command.starts_with("SELECT") || command.starts_with("SHOW") || command.starts_with("SET"))
    return false;
  const std::string_view rows = PQcmdTuples(const_cast<PGresult*>(result));
  return rows != "0";  // empty: it changes the schema
}

// A writer on a server that has become a standby, or that is being replaced by one.
bool is_read_only(const PGresult* result) {
  const char* state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  // The second is what a standby says to BEGIN … READ WRITE.
  return state != nullptr && (std::string_view(state) == "25006" || std::string_view(state) == "0A000");
}

}  // namespace

PostgresSession::PostgresSession(std::shared_ptr<PostgresShared> shared, Access access)
    : shared_(std::move(shared)), access_(access) {
  ensure_connected();
}

// idle_in_transaction: the writers' lock of a server that stands still does not stop the others for long.
std::string PostgresSession::set_up() const {
  return fmt::format(
      "SET bytea_output = 'hex'; SET default_transaction_read_only = {}; SET lock_timeout = {}; SET "
      "idle_in_transaction_session_timeout = {}",
      access_ == Access::read ? "on" : "off", shared_->options().lock_timeout.count(),
      shared_->options().pause_timeout.count());
}

SteadyClock::time_point PostgresSession::deadline() const {
  return SteadyClock::now() + shared_->options().answer_timeout;
}

void PostgresSession::ensure_connected() {
  finish_pending();
  if (connection_) connection_->take_in();
  if (connection_ && !connection_->is_lost()) return;
  prepared_.clear();
  connection_.emplace(shared_->connect(set_up()));
}

void PostgresSession::finish_pending() {
  if (!std::exchange(pending_commit_, false)) return;
  try {
    Batch batch{.controls = 1};
    collect(batch);
  } catch (const Error& error) {  // it was a read: nothing of it is lost
    log::debug("db.commit_of_read", {{"reason", error.what()}});
  }
}

void PostgresSession::begin(const WriteScope& scope) {
  ensure_connected();
  controls_.clear();
  state_ = State::open;
  sent_ = failed_ = changed_ = false;
  queue(access_ == Access::read ? begin_read : begin_write);
  if (access_ == Access::write) lock(scope);
}

// In the order of their numbers, as everybody does: of those who wait for several none waits for another that
// waits for it.
void PostgresSession::lock(const WriteScope& scope) {
  locks_.clear();
  held_ = {scope.keys().begin(), scope.keys().end()};
  holds_all_ = scope.is_everyone();
  queue(holds_all_ ? lock_all : share_all);
  for (const std::int64_t key : held_)
    queue(locks_.emplace_back(fmt::format("SELECT pg_advisory_xact_lock({})", key)));
}

bool PostgresSession::try_include(const WriteScope& scope) {
  if (holds_all_) return true;
  if (scope.is_everyone()) return false;
  std::vector<std::int64_t> missing;
  std::ranges::copy_if(scope.keys(), std::back_inserter(missing),
                       [this](std::int64_t key) { return !held_.contains(key); });
  if (missing.empty()) return true;
  const std::string keys = fmt::format("{}", fmt::join(missing, " "));
  if (!query(try_locks, {keys})[0].get<bool>(0)) return false;  // what it did get goes with the commit
  held_.insert(missing.begin(), missing.end());
  return true;
}

void PostgresSession::commit() {
  if (state_ != State::open || failed_) {
    throw Error(ErrorKind::statement, "PostgreSQL: there is nothing that could be committed");
  }
  if (!sent_) {
    controls_.clear();
    state_ = State::none;
    return;
  }
  if (access_ == Access::write && changed_) queue(shared_->announcement());
  queue("COMMIT");
  try {
    if (access_ == Access::read) {
      send_controls();
      send_end();
      pending_commit_ = true;
    } else if (const Result result = run_controls();
               std::string_view(PQcmdStatus(result.get())) != "COMMIT") {
      throw Error(ErrorKind::unavailable, "PostgreSQL: the transaction was rolled back instead of committed");
    }
  } catch (...) {
    note_loss();
    if (state_ == State::open) state_ = State::failed;
    shared_->note_change();  // it may have been committed
    throw;
  }
  state_ = State::none;
  if (changed_) shared_->note_change();
}

bool PostgresSession::rollback() noexcept {
  controls_.clear();
  const State state = std::exchange(state_, State::none);
  try {
    if (state == State::lost || !connection_ || connection_->is_lost()) return false;
    if (PQtransactionStatus(connection_->handle()) == PQTRANS_IDLE) return true;
    queue("ROLLBACK");
    run_controls();
    return true;
  } catch (const std::exception& failure) {
    log::error("db.rollback_failed", {{"reason", failure.what()}});
    return false;
  }
}

void PostgresSession::set_savepoint() {
  failed_ = false;
  changed_before_ = changed_;
  queue(savepoint);
}

void PostgresSession::release_savepoint() {
  if (failed_)
    throw Error(ErrorKind::statement, "PostgreSQL: the work went on after one of its statements had failed");
  if (is_queued_last(savepoint)) {
    controls_.pop_back();
  } else {
    queue(release);
  }
}

void PostgresSession::rollback_to_savepoint() {
  failed_ = false;
  changed_ = changed_before_;
  if (is_queued_last(savepoint)) {
    controls_.pop_back();
  } else {
    queue(rollback_to);
    queue(release);
  }
}

void PostgresSession::execute_script(std::string_view sql) {
  if (state_ == State::none) ensure_connected();
  try {
    if (!controls_.empty()) run_controls();
    connection_->run_script(to_own_types(sql), SteadyClock::time_point::max());
    changed_ = true;
  } catch (...) {
    failed_ = true;
    note_loss();
    throw;
  }
}

Rows PostgresSession::run_query(std::string_view sql, std::span<const Param> params) {
  const Result result = run_statement(sql, params);
  return read_rows(result.get());
}

std::int64_t PostgresSession::run_execute(std::string_view sql, std::span<const Param> params) {
  const Result result = run_statement(sql, params);
  return changed_rows(result.get());
}

Result PostgresSession::run_statement(std::string_view sql, std::span<const Param> params) {
  if (state_ == State::none) ensure_connected();
  if (state_ == State::lost || state_ == State::failed || (state_ == State::open && failed_)) {
    throw Error(ErrorKind::statement, fmt::format("PostgreSQL: after a failure in the same work: {}", sql));
  }
  const auto [statement, is_new] = name_statement(sql, params);
  Batch batch{.sql = sql, .prepares = is_new};
  try {
    batch.controls = send_controls();
    send_statement(*statement, sql, params, is_new);
    send_end();
    Result result = collect(batch);
    note_changes(result.get());
    return result;
  } catch (...) {
    if (is_new && !batch.prepared) prepared_.erase(statement);
    failed_ = true;
    note_loss();
    throw;
  }
}

std::pair<PostgresSession::Statements::iterator, bool> PostgresSession::name_statement(
    std::string_view sql, std::span<const Param> params) {
  std::string key(sql);
  for (const Param& param : params)
    fmt::format_to(std::back_inserter(key), " {}", type_of(param));
  if (const auto found = prepared_.find(key); found != prepared_.end()) return {found, false};
  if (const std::size_t expected = count_placeholders(sql); expected != params.size()) {
    throw Error(ErrorKind::statement,
                fmt::format("{} arguments for {} in: {}", params.size(), expected, sql));
  }
  if (prepared_.size() >= max_cached_statements) {
    prepared_.clear();
    queue(forget_statements);
  }
  return prepared_.emplace(std::move(key), fmt::format("s{}", ++names_));
}

void PostgresSession::send_statement(const Statements::value_type& statement, std::string_view sql,
                                     std::span<const Param> params, bool is_new) {
  PGconn* handle = connection_->handle();
  const char* name = statement.second.c_str();
  if (is_new) {
    std::vector<TypeId> types;
    for (const Param& param : params)
      types.push_back(type_of(param));
    connection_->check_sent(
        PQsendPrepare(handle, name, std::string(sql).c_str(), static_cast<int>(types.size()), types.data()));
  }
  const Arguments arguments(params);
  connection_->check_sent(PQsendQueryPrepared(handle, name, arguments.count(), arguments.values(),
                                              arguments.lengths(), arguments.formats(), 0));
}

std::size_t PostgresSession::send_controls() {
  for (const std::string_view control : controls_) {
    connection_->check_sent(PQsendQueryParams(connection_->handle(), std::string(control).c_str(), 0, nullptr,
                                              nullptr, nullptr, nullptr, 0));
  }
  if (state_ == State::open) sent_ = true;
  sending_ = std::exchange(controls_, {});
  return sending_.size();
}

void PostgresSession::send_end() {
  connection_->check_sent(PQpipelineSync(connection_->handle()));
  connection_->flush(deadline());
}

Result PostgresSession::run_controls() {
  Batch batch{.controls = send_controls()};
  send_end();
  return collect(batch);
}

Result PostgresSession::collect(Batch& batch) {
  const auto until = deadline();
  std::optional<Error> failure;
  bool is_standby = false;
  Result answer;
  for (std::size_t position = 0;;) {
    Result result = connection_->next(until);
    if (!result) {
      ++position;
      continue;
    }
    const ExecStatusType status = PQresultStatus(result.get());
    if (status == PGRES_PIPELINE_SYNC) break;
    const bool is_control = position < batch.controls;
    if (status == PGRES_PIPELINE_ABORTED) continue;
    if (is_failure(result.get())) {
      failure = connection_->make_error(result.get(), is_control ? sending_[position] : batch.sql);
      is_standby = access_ == Access::write && is_read_only(result.get());
      if (is_control) {
        if (state_ == State::open) state_ = State::failed;
        // No caller wrote it, so none is at fault.
        if (failure->kind() != ErrorKind::busy) failure = Error(ErrorKind::unavailable, failure->what());
      }
    } else {
      if (batch.prepares && position == batch.controls) batch.prepared = true;
      answer = std::move(result);
    }
  }
  if (is_standby) {  // the next connection may lead to the server that may be written to
    connection_->drop();
    throw Error(ErrorKind::unavailable, failure->what());
  }
  if (failure) throw Error(*failure);
  return answer;
}

void PostgresSession::note_changes(const PGresult* result) {
  if (changes_rows(result)) changed_ = true;
}

void PostgresSession::note_loss() noexcept {
  if (connection_ && !connection_->is_lost()) return;
  controls_.clear();
  prepared_.clear();
  pending_commit_ = false;
  if (state_ != State::none) state_ = State::lost;
}

std::vector<Table> PostgresSession::list_tables() {
  std::vector<Table> tables;
  for (const Row row :
       query("SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
             "WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'p') ORDER BY c.relname "
             "COLLATE \"C\"")) {
    tables.push_back({.name = row.get<std::string>(0), .columns = {}, .key = {}, .references = {}});
  }
  const auto names = [this](std::string_view sql, const std::string& table) {
    std::vector<std::string> found;
    for (const Row row : query(sql, {table}))
      found.push_back(row.get<std::string>(0));
    return found;
  };
  for (Table& table : tables) {
    table.columns = names(
        "SELECT attname FROM pg_attribute WHERE attrelid = CAST(quote_ident($1) AS regclass) "
        "AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
        table.name);
    table.key = names(
        "SELECT a.attname FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid "
        "AND a.attnum = ANY (i.indkey) WHERE i.indrelid = CAST(quote_ident($1) AS regclass) "
        "AND i.indisprimary ORDER BY array_position(CAST(i.indkey AS int2[]), a.attnum)",
        table.name);
    table.references = names(
        "SELECT DISTINCT t.relname FROM pg_constraint c JOIN pg_class t ON t.oid = c.confrelid "
        "WHERE c.conrelid = CAST(quote_ident($1) AS regclass) AND c.contype = 'f' "
        "ORDER BY t.relname",
        table.name);
  }
  return tables;
}

}  // namespace hearth::db
