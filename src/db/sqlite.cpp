#include "db/sqlite.hpp"

#include <charconv>
#include <cstring>
#include <fcntl.h>
#include <mutex>
#include <string>
#include <thread>
#include <unistd.h>
#include <unordered_map>
#include <vector>

#include <fmt/format.h>
#include <sqlite3.h>

#include "base/log.hpp"

namespace hearth::db {
namespace {

// Lists build their statements from parts, so the number of texts is small but not fixed.
constexpr std::size_t max_cached_statements = 256;
// 16 MiB of log between checkpoints: fewer synchronisations of the main file than SQLite's own 4 MiB.
constexpr int checkpoint_pages = 4000;

struct CloseConnection {
  void operator()(sqlite3* handle) const { sqlite3_close_v2(handle); }
};
struct FinalizeStatement {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using Handle = std::unique_ptr<sqlite3, CloseConnection>;
using StatementHandle = std::unique_ptr<sqlite3_stmt, FinalizeStatement>;

ErrorKind kind_of(int code) {
  switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return ErrorKind::busy;
    case SQLITE_CONSTRAINT:
      return ErrorKind::constraint;
    case SQLITE_FULL:
    case SQLITE_IOERR:
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_NOMEM:
    case SQLITE_PROTOCOL:
    case SQLITE_PERM:
      return ErrorKind::unavailable;
    default:
      return ErrorKind::statement;
  }
}

Error make_error(sqlite3* handle, std::string_view doing) {
  const int code = sqlite3_extended_errcode(handle);
  return {kind_of(code), fmt::format("SQLite: {} ({}) in: {}", sqlite3_errmsg(handle), code, doing)};
}

struct TextHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
};

struct Statement {
  StatementHandle handle;
  std::vector<std::size_t> arguments;  // which argument each of SQLite's parameters takes
  std::size_t argument_count = 0;
};

// Leaves a statement ready for its next use, whatever happened.
class StatementUse {
 public:
  explicit StatementUse(sqlite3_stmt* statement) : statement_(statement) {}
  ~StatementUse() {
    sqlite3_reset(statement_);
    sqlite3_clear_bindings(statement_);
  }
  StatementUse(const StatementUse&) = delete;

 private:
  sqlite3_stmt* statement_;
};

struct Bind {
  sqlite3_stmt* statement;
  int index;
  int operator()(std::monostate) const { return sqlite3_bind_null(statement, index); }
  int operator()(std::int64_t value) const { return sqlite3_bind_int64(statement, index, value); }
  int operator()(double value) const { return sqlite3_bind_double(statement, index, value); }
  int operator()(std::string_view text) const {
    // A null pointer would bind NULL, and an empty view may hold one.
    const char* data = text.empty() ? "" : text.data();
    return sqlite3_bind_text64(statement, index, data, text.size(), SQLITE_STATIC, SQLITE_UTF8);
  }
  int operator()(BytesView bytes) const {
    const char* data = bytes.content.empty() ? "" : bytes.content.data();
    return sqlite3_bind_blob64(statement, index, data, bytes.content.size(), SQLITE_STATIC);
  }
};

Value read_column(sqlite3_stmt* statement, int column) {
  const int type = sqlite3_column_type(statement, column);
  switch (type) {
    case SQLITE_NULL:
      return std::monostate();
    case SQLITE_INTEGER:
      return std::int64_t{sqlite3_column_int64(statement, column)};
    case SQLITE_FLOAT:
      return sqlite3_column_double(statement, column);
    default: {
      const void* bytes = sqlite3_column_blob(statement, column);  // null when empty
      const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement, column));
      std::string content = size == 0 ? std::string() : std::string(static_cast<const char*>(bytes), size);
      if (type == SQLITE_BLOB) return Bytes{std::move(content)};
      return content;
    }
  }
}

class SqliteSession final : public Session {
 public:
  SqliteSession(const SqliteOptions& options, Access access) : access_(access) {
    const std::string file = options.file.string();
    sqlite3* opened = nullptr;
    const int code =
        sqlite3_open_v2(file.c_str(), &opened, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
    handle_.reset(opened);
    if (code != SQLITE_OK) {
      throw Error(ErrorKind::unavailable,
                  fmt::format("cannot open the database {}: {}", file, sqlite3_errstr(code)));
    }
    sqlite3_extended_result_codes(opened, 1);
    sqlite3_busy_timeout(opened, static_cast<int>(options.busy_timeout.count()));
    enter_wal_mode(options);
    // temp_store: savepoints keep the pages they may have to restore in memory.
    execute_script(
        fmt::format("PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY;"
                    "PRAGMA wal_autocheckpoint = {}; PRAGMA journal_size_limit = 67108864;",
                    checkpoint_pages));
    if (access == Access::read) execute_script("PRAGMA query_only = ON");
  }

  std::vector<std::string> names(std::string_view sql, const std::string& table) {
    std::vector<std::string> found;
    for (const Row row : query(sql, {table}))
      found.push_back(row.get<std::string>(0));
    return found;
  }

  // The head of the WAL's index: shared memory of all processes that have this database open. Its layout is
  // part of the documented format ("WAL-mode File Format"). Valid while this session lives; null where there
  // is none.
  const std::uint32_t* wal_index() {
    constexpr int region_size = 32 * 1024;
    query("SELECT 1 FROM sqlite_schema");  // opens the index
    sqlite3_file* file = nullptr;
    const int code = sqlite3_file_control(handle_.get(), "main", SQLITE_FCNTL_FILE_POINTER, &file);
    if (code != SQLITE_OK || file == nullptr || file->pMethods == nullptr || file->pMethods->iVersion < 2)
      return nullptr;
    void volatile* region = nullptr;
    if (file->pMethods->xShmMap(file, 0, region_size, 0, &region) != SQLITE_OK) return nullptr;
    return static_cast<const std::uint32_t*>(const_cast<const void*>(region));
  }

  // The file has one writer, whatever it writes.
  void begin(const WriteScope&) override { execute(access_ == Access::write ? "BEGIN IMMEDIATE" : "BEGIN"); }
  bool try_include(const WriteScope&) override { return true; }
  void commit() override { execute("COMMIT"); }
  bool rollback() noexcept override {
    if (!in_transaction()) return true;
    try {
      execute("ROLLBACK");
    } catch (const std::exception& failure) {
      log::error("db.rollback_failed", {{"reason", failure.what()}});
    }
    return !in_transaction();
  }
  bool in_transaction() const override { return sqlite3_get_autocommit(handle_.get()) == 0; }

  void set_savepoint() override { execute("SAVEPOINT job"); }
  void release_savepoint() override { execute("RELEASE job"); }
  void rollback_to_savepoint() override {
    execute("ROLLBACK TO job");
    execute("RELEASE job");
  }

  void execute_script(std::string_view sql) override {
    const std::string text(sql);
    if (sqlite3_exec(handle_.get(), text.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) {
      throw make_error(handle_.get(), sql);
    }
  }

  std::vector<Table> list_tables() override {
    std::vector<Table> tables;
    for (const Row row :
         query("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' "
               "ESCAPE '\\' ORDER BY name")) {
      tables.push_back({.name = row.get<std::string>(0), .columns = {}, .key = {}, .references = {}});
    }
    for (Table& table : tables) {
      table.columns = names("SELECT name FROM pragma_table_info($1) ORDER BY cid", table.name);
      table.key = names("SELECT name FROM pragma_table_info($1) WHERE pk > 0 ORDER BY pk", table.name);
      table.references =
          names("SELECT DISTINCT \"table\" FROM pragma_foreign_key_list($1) ORDER BY 1", table.name);
    }
    return tables;
  }

 protected:
  Rows run_query(std::string_view sql, std::span<const Param> params) override {
    sqlite3_stmt* statement = bind(sql, params);
    const StatementUse use(statement);
    const int columns = sqlite3_column_count(statement);
    Rows rows(static_cast<std::size_t>(columns));
    while (step(statement, sql)) {
      for (int column = 0; column < columns; ++column)
        rows.append(read_column(statement, column));
    }
    return rows;
  }

  std::int64_t run_execute(std::string_view sql, std::span<const Param> params) override {
    sqlite3_stmt* statement = bind(sql, params);
    const StatementUse use(statement);
    while (step(statement, sql)) {
    }
    return sqlite3_changes64(handle_.get());
  }

 private:
  // The mode is kept in the file. Changing it needs the file alone, and SQLite does not wait for that where
  // it fears a deadlock: two processes that start at once meet here.
  void enter_wal_mode(const SqliteOptions& options) {
    using namespace std::chrono_literals;
    const auto give_up = std::chrono::steady_clock::now() + options.busy_timeout;
    for (;;) {
      try {
        const Rows mode = query("PRAGMA journal_mode = WAL");
        if (mode.size() == 1 && mode[0].get<std::string_view>(0) == "wal") return;
        throw Error(ErrorKind::unavailable,
                    fmt::format("the file system of {} cannot hold a database in WAL mode; use a local one",
                                options.file.string()));
      } catch (const Error& error) {
        if (error.kind() != ErrorKind::busy || std::chrono::steady_clock::now() >= give_up) throw;
      }
      std::this_thread::sleep_for(10ms);
    }
  }

  sqlite3_stmt* bind(std::string_view sql, std::span<const Param> params) {
    const Statement& statement = prepare(sql);
    if (params.size() != statement.argument_count) {
      throw Error(ErrorKind::statement,
                  fmt::format("{} arguments for {} in: {}", params.size(), statement.argument_count, sql));
    }
    for (std::size_t i = 0; i < statement.arguments.size(); ++i) {
      const Param& param = params[statement.arguments[i]];
      if (std::visit(Bind{statement.handle.get(), static_cast<int>(i) + 1}, param.content()) != SQLITE_OK) {
        throw make_error(handle_.get(), sql);
      }
    }
    return statement.handle.get();
  }

  const Statement& prepare(std::string_view sql) {
    if (const auto found = statements_.find(sql); found != statements_.end()) return found->second;
    if (statements_.size() >= max_cached_statements) statements_.clear();
    Statement statement;
    sqlite3_stmt* prepared = nullptr;
    const int code = sqlite3_prepare_v3(handle_.get(), sql.data(), static_cast<int>(sql.size()),
                                        SQLITE_PREPARE_PERSISTENT, &prepared, nullptr);
    statement.handle.reset(prepared);
    if (code != SQLITE_OK) throw make_error(handle_.get(), sql);
    map_arguments(statement, sql);
    return statements_.emplace(std::string(sql), std::move(statement)).first->second;
  }

  // To SQLite $1 is a name, and names are numbered as they appear.
  static void map_arguments(Statement& statement, std::string_view sql) {
    const int count = sqlite3_bind_parameter_count(statement.handle.get());
    for (int i = 1; i <= count; ++i) {
      const char* name = sqlite3_bind_parameter_name(statement.handle.get(), i);
      std::size_t number = 0;
      if (name != nullptr && name[0] == '$') std::from_chars(name + 1, name + std::strlen(name), number);
      if (number == 0 || number > 1000) {
        throw Error(ErrorKind::statement, fmt::format("write placeholders as $1, $2 in: {}", sql));
      }
      statement.arguments.push_back(number - 1);
      statement.argument_count = std::max(statement.argument_count, number);
    }
  }

  bool step(sqlite3_stmt* statement, std::string_view sql) {
    const int code = sqlite3_step(statement);
    if (code == SQLITE_ROW) return true;
    if (code == SQLITE_DONE) return false;
    throw make_error(handle_.get(), sql);
  }

  Access access_;
  Handle handle_;
  std::unordered_map<std::string, Statement, TextHash, std::equal_to<>> statements_;
};

class SqliteDriver final : public Driver {
 public:
  explicit SqliteDriver(SqliteOptions options) : options_(std::move(options)) {
    // Made here so that it, and with it the log beside it, is readable by its owner only.
    const int file = ::open(options_.file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0) {
      throw Error(ErrorKind::unavailable, fmt::format("cannot open the database {}: {}",
                                                      options_.file.string(), std::strerror(errno)));
    }
    ::close(file);
    watch_ = std::make_unique<SqliteSession>(options_, Access::read);
    wal_index_ = watch_->wal_index();
  }

  std::unique_ptr<Session> connect(Access access) override {
    return std::make_unique<SqliteSession>(options_, access);
  }

  // Every commit, here or in another process, counts up in the index's head before it can be seen; the number
  // of frames goes with it, in case the index was rebuilt. Every authenticated request asks: two loads
  // instead of a query with its locks.
  std::uint64_t change_token() override {
    constexpr std::size_t change_counter = 2;  // in words
    constexpr std::size_t last_frame = 4;
    if (wal_index_ != nullptr) {
      const std::uint64_t changes = __atomic_load_n(wal_index_ + change_counter, __ATOMIC_ACQUIRE);
      return changes << 32 | __atomic_load_n(wal_index_ + last_frame, __ATOMIC_ACQUIRE);
    }
    return data_version();
  }

  bool is_one_commit(std::uint64_t before, std::uint64_t after) const override {
    return wal_index_ != nullptr &&
           static_cast<std::uint32_t>(after >> 32) == static_cast<std::uint32_t>(before >> 32) + 1;
  }

 private:
  // Changes when any other connection has committed.
  std::uint64_t data_version() {
    std::lock_guard lock(mutex_);
    try {
      return watch_->query("PRAGMA data_version")[0].get<std::uint64_t>(0);
    } catch (const Error& error) {
      log::error("db.change_token_failed", {{"reason", error.what()}});
      return (std::uint64_t{1} << 63) | ++failures_;  // equal to no other: caches read again
    }
  }

  SqliteOptions options_;
  std::mutex mutex_;
  std::unique_ptr<SqliteSession> watch_;      // guarded by mutex_
  const std::uint32_t* wal_index_ = nullptr;  // of watch_
  std::uint64_t failures_ = 0;                // guarded by mutex_
};

}  // namespace

std::unique_ptr<Driver> open_sqlite(SqliteOptions options) {
  return std::make_unique<SqliteDriver>(std::move(options));
}

// A shared lock on one byte of the index, which SQLite calls the dead man's switch, is held by every process
// that has the database open.
bool is_open_elsewhere(const SqliteOptions& options) {
  constexpr off_t switch_offset = 128;
  const int index = ::open((options.file.string() + "-shm").c_str(), O_RDWR | O_CLOEXEC);
  if (index < 0) return false;
  struct flock lock{};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  lock.l_start = switch_offset;
  lock.l_len = 1;
  const bool held = ::fcntl(index, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
  ::close(index);
  return held;
}

}  // namespace hearth::db
