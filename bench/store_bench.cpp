// Durable creates per second of stored chat completions: store::ChatCompletions, called by concurrent
// coroutines, against SQLite's C interface on one thread with the same schema, statements, settings, disk and
// number of completions per transaction. Prints a table of ratios. The same on PostgreSQL against libpq
// alone, when HEARTH_POSTGRES is the URL of a server.
//
// The exit status is 1 when the target is missed.
//
//   store_bench [seconds-per-measurement [rounds]]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <unistd.h>

#include <fmt/format.h>
#include <sqlite3.h>

#include "async/runtime.hpp"
#include "async/scope.hpp"
#include "base/log.hpp"
#include "db/test_database.hpp"
#include "raw_postgres.hpp"
#include "store/bootstrap.hpp"
#include "store/chat_completions.hpp"
#include "store/schema.hpp"

namespace hearth {
namespace {

using SteadyClock = std::chrono::steady_clock;

struct Result {
  double creates_per_second = 0;
  double group = 0;  // completions per commit
};

// A short conversation with its reply, as a client stores it.
store::NewChatCompletion make_completion(IdSource& ids) {
  const std::string text(240, 'x');
  const auto message = [&](std::string_view role) {
    return fmt::format(R"({{"role":"{}","content":"{}"}})", role, text);
  };
  return {
      {.id = CompletionId(ids.make("chatcmpl-")),
       .created_at = 1'745'884'800,
       .model = "tiny",
       .request = R"({"temperature":0.7,"top_p":1,"seed":7,"tools":null})",
       .response = fmt::format(
           R"({{"object":"chat.completion","choices":[{{"index":0,"message":{}}}],"usage":{{"total_tokens":99}}}})",
           message("assistant")),
       .metadata = {{"user", "someone"}, {"session", "0123456789"}}},
      {message("system"), message("user"), message("assistant")}};
}

class BenchDirectory {
 public:
  BenchDirectory() {
    std::string name = (std::filesystem::temp_directory_path() / "hearth-bench-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("cannot make a folder");
    path_ = name;
  }
  ~BenchDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

Task<void> create_until(store::ChatCompletions& completions, store::Tenant tenant, IdSource& ids,
                        SteadyClock::time_point end, std::size_t& created) {
  while (SteadyClock::now() < end) {
    co_await completions.create(tenant, make_completion(ids));
    ++created;
  }
}

Result measure_store(db::Engine engine, std::size_t concurrency, std::chrono::milliseconds duration) {
  const db::TestDatabase place(engine);
  const Clock clock;
  IdSource ids(clock);
  async::Runtime runtime(1);
  const auto database = store::open_database(place.open());
  store::ChatCompletions completions(*database);
  store::Tenant tenant;
  std::size_t created = 0;
  runtime.run_until_complete(
      [](db::Database& db, const Clock& c, IdSource& i, store::Tenant& out) -> Task<void> {
        const auto made = co_await store::bootstrap(db, c, i);
        out = {made->organization, made->project};
      }(*database, clock, ids, tenant));
  const auto before = database->counters();
  const auto started = SteadyClock::now();
  runtime.run_until_complete([](auto& all, auto& owner, IdSource& i, auto end, std::size_t callers,
                                std::size_t& count) -> Task<void> {
    async::Scope scope(co_await boost::asio::this_coro::executor);
    for (std::size_t caller = 0; caller < callers; ++caller)
      scope.spawn("caller", create_until(all, owner, i, end, count));
    co_await scope.join();
  }(completions, tenant, ids, started + duration, concurrency, created));
  const std::chrono::duration<double> took = SteadyClock::now() - started;
  const auto after = database->counters();
  return {static_cast<double>(created) / took.count(),
          static_cast<double>(after.writes - before.writes) /
              static_cast<double>(after.commits - before.commits)};
}

// SQLite as its documentation shows it: prepared statements, one thread.
class RawSqlite {
 public:
  explicit RawSqlite(const std::filesystem::path& file) {
    check(sqlite3_open(file.c_str(), &handle_));
    run("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; "
        "PRAGMA temp_store = MEMORY; PRAGMA wal_autocheckpoint = 4000; PRAGMA journal_size_limit = 67108864");
    sequence_ = prepare(
        "INSERT INTO sequences (organization_id, project_id, name, value) VALUES (?, ?, 'chat_completions', "
        "1) "
        "ON CONFLICT (organization_id, project_id, name) DO UPDATE SET value = sequences.value + 1 "
        "RETURNING value");
    completion_ = prepare(
        "INSERT INTO chat_completions (id, organization_id, project_id, created_at, sequence, model, "
        "request, "
        "response, metadata) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)");
    message_ = prepare(
        "INSERT INTO chat_completion_messages (completion_id, organization_id, project_id, position, "
        "message) "
        "VALUES (?, ?, ?, ?, ?)");
    metadata_ = prepare(
        "INSERT INTO chat_completion_metadata (completion_id, organization_id, project_id, name, value) "
        "VALUES (?, ?, ?, ?, ?)");
  }
  ~RawSqlite() {
    for (sqlite3_stmt* statement : {sequence_, completion_, message_, metadata_})
      sqlite3_finalize(statement);
    sqlite3_close(handle_);
  }
  RawSqlite(const RawSqlite&) = delete;

  void run(const char* sql) { check(sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr)); }

  void create(const store::Tenant& tenant, const store::NewChatCompletion& completion) {
    const auto& record = completion.record;
    bind(sequence_, 1, tenant.organization.str());
    bind(sequence_, 2, tenant.project.str());
    sqlite3_step(sequence_);
    const sqlite3_int64 sequence = sqlite3_column_int64(sequence_, 0);
    step(sequence_);

    bind_owner(completion_, record.id, tenant);
    sqlite3_bind_int64(completion_, 4, record.created_at);
    sqlite3_bind_int64(completion_, 5, sequence);
    bind(completion_, 6, record.model);
    bind(completion_, 7, record.request);
    bind(completion_, 8, record.response);
    bind(completion_, 9, R"({"user":"someone","session":"0123456789"})");
    step(completion_);
    for (std::size_t i = 0; i < completion.messages.size(); ++i) {
      bind_owner(message_, record.id, tenant);
      sqlite3_bind_int64(message_, 4, static_cast<sqlite3_int64>(i));
      bind(message_, 5, completion.messages[i]);
      step(message_);
    }
    for (const auto& [name, value] : record.metadata) {
      bind_owner(metadata_, record.id, tenant);
      bind(metadata_, 4, name);
      bind(metadata_, 5, value);
      step(metadata_);
    }
  }

 private:
  void check(int code) {
    if (code != SQLITE_OK) throw std::runtime_error(sqlite3_errmsg(handle_));
  }
  sqlite3_stmt* prepare(const char* sql) {
    sqlite3_stmt* statement = nullptr;
    check(sqlite3_prepare_v3(handle_, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, nullptr));
    return statement;
  }
  static void bind(sqlite3_stmt* statement, int index, std::string_view text) {
    sqlite3_bind_text(statement, index, text.data(), static_cast<int>(text.size()), SQLITE_STATIC);
  }
  static void bind_owner(sqlite3_stmt* statement, const CompletionId& id, const store::Tenant& tenant) {
    bind(statement, 1, id.str());
    bind(statement, 2, tenant.organization.str());
    bind(statement, 3, tenant.project.str());
  }
  void step(sqlite3_stmt* statement) {
    if (sqlite3_step(statement) != SQLITE_DONE) throw std::runtime_error(sqlite3_errmsg(handle_));
    sqlite3_reset(statement);
  }

  sqlite3* handle_ = nullptr;
  sqlite3_stmt* sequence_ = nullptr;
  sqlite3_stmt* completion_ = nullptr;
  sqlite3_stmt* message_ = nullptr;
  sqlite3_stmt* metadata_ = nullptr;
};

constexpr std::size_t judged_concurrency = 32;
constexpr double least_ratio = 0.7;

constexpr const char* bench_tenant =
    "INSERT INTO organizations (id, name, created_at) VALUES ('org-bench', 'bench', 1);"
    "INSERT INTO projects (id, organization_id, name, status, is_default, created_at) "
    "VALUES ('proj_bench', 'org-bench', 'bench', 'active', 1, 1)";

template <class Raw>
Result create_raw(Raw& raw, const char* begin, std::size_t group, std::chrono::milliseconds duration) {
  const Clock clock;
  IdSource ids(clock);
  const store::Tenant tenant{OrganizationId("org-bench"), ProjectId("proj_bench")};
  raw.run(bench_tenant);
  std::size_t created = 0;
  const auto started = SteadyClock::now();
  while (SteadyClock::now() < started + duration) {
    raw.run(begin);
    for (std::size_t i = 0; i < group; ++i)
      raw.create(tenant, make_completion(ids));
    raw.run("COMMIT");
    created += group;
  }
  const std::chrono::duration<double> took = SteadyClock::now() - started;
  return {static_cast<double>(created) / took.count(), static_cast<double>(group)};
}

Result measure_raw(db::Engine engine, std::size_t group, std::chrono::milliseconds duration) {
  const db::TestDatabase place(engine);
  store::open_database(place.open()).reset();  // the schema
  if (engine == db::Engine::sqlite) {
    RawSqlite sqlite(place.file());
    return create_raw(sqlite, "BEGIN IMMEDIATE", group, duration);
  }
  RawPostgres postgres(place.url());
  return create_raw(postgres, "BEGIN", group, duration);
}

struct Length {
  std::chrono::milliseconds measurement;
  int rounds;
};

// The two sides in turn, so that a disk that slows down slows both; the median round by ratio. False when the
// target is missed.
bool compare(db::Engine engine, std::size_t concurrency, const Length& length) {
  struct Round {
    Result store;
    Result raw;
    double ratio() const { return store.creates_per_second / raw.creates_per_second; }
  };
  std::vector<Round> rounds;
  for (int i = 0; i < length.rounds; ++i) {
    const Result store = measure_store(engine, concurrency, length.measurement);
    const auto group = static_cast<std::size_t>(std::max(1.0, store.group + 0.5));
    rounds.push_back({store, measure_raw(engine, group, length.measurement)});
  }
  std::ranges::sort(rounds, {}, &Round::ratio);
  const Round& median = rounds[rounds.size() / 2];
  fmt::print("| {:>7} | {:>10.1f} | {:>14.0f} | {:>14.0f} | {:>5.2f} |\n", concurrency, median.store.group,
             median.store.creates_per_second, median.raw.creates_per_second, median.ratio());
  std::fflush(stdout);
  return concurrency != judged_concurrency || median.ratio() >= least_ratio;
}

// What every authenticated request pays to know that its cached key still holds.
void measure_change_token() {
  constexpr int calls = 100'000;
  const BenchDirectory directory;
  const auto database = store::open_data_directory(directory.path());
  std::uint64_t sum = 0;
  const auto started = SteadyClock::now();
  for (int i = 0; i < calls; ++i)
    sum += database->change_token();
  const std::chrono::duration<double, std::micro> took = SteadyClock::now() - started;
  fmt::print("change_token(): {:.2f} us{}\n", took.count() / calls, sum == 0 ? " (constant)" : "");
}

}  // namespace
}  // namespace hearth

int main(int argc, char** argv) {
  using namespace hearth;
  log::configure(log::Level::warn, log::Format::console);
  const double seconds = argc > 1 ? std::atof(argv[1]) : 2.0;
  const Length length{std::chrono::milliseconds(static_cast<int>(seconds * 1000)),
                      argc > 2 ? std::max(1, std::atoi(argv[2])) : 3};
  bool holds = true;
  const auto table = [&](db::Engine engine, std::string_view peer) {
    fmt::print("| callers | per commit | store, per s   | {:<14} | ratio |\n",
               fmt::format("{}, per s", peer));
    fmt::print("|--------:|-----------:|---------------:|---------------:|------:|\n");
    for (const std::size_t concurrency : {std::size_t{1}, judged_concurrency, std::size_t{128}})
      holds = compare(engine, concurrency, length) && holds;
    fmt::print("\n");
  };
  fmt::print("Durable creates of stored chat completions per second (target at {} callers: ratio >= {})\n\n",
             judged_concurrency, least_ratio);
  table(db::Engine::sqlite, "SQLite");
  if (db::postgres_server() != nullptr) table(db::Engine::postgres, "libpq");
  measure_change_token();
  return holds ? 0 : 1;
}
