// How long a page of the audit log takes among a million events: each filter, combinations of filters, times,
// and pages far from the newest. Prints a table; the exit status is 1 when the median of a row is over the
// limit.
//
//   audit_bench [events] [milliseconds]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <stdexcept>
#include <unistd.h>

#include <fmt/format.h>
#include <sqlite3.h>

#include "async/runtime.hpp"
#include "base/log.hpp"
#include "store/audit_logs.hpp"
#include "store/schema.hpp"

namespace hearth {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr std::int64_t first_second = 1'700'000'000;
constexpr std::int64_t seconds_apart = 20;

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

// 28 types, a half of all events by the commonest of them; 200 projects of which one has a tenth; 1,000
// people and keys of which one did a quarter; a resource has ten events on average, the busiest 50,000.
void fill(const std::filesystem::path& file, std::int64_t events) {
  sqlite3* handle = nullptr;
  if (sqlite3_open(file.c_str(), &handle) != SQLITE_OK) throw std::runtime_error("cannot open the database");
  const std::string sql = fmt::format(
      R"(PRAGMA synchronous = OFF; PRAGMA cache_size = -400000; BEGIN;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {0})
INSERT INTO audit_logs SELECT 'org-bench', i, printf('audit_log-%030d', i), {1} + (i / 4) * {2},
  CASE WHEN i % 2 = 0 THEN 'login.succeeded' ELSE printf('type.%02d', (i * 7919) % 27) END,
  CASE WHEN i % 2 = 0 THEN NULL WHEN (i * 31) % 10 = 3 THEN 'proj_busy' ELSE printf('proj_%030d', (i * 104729) % 199) END, 'Project',
  'api_key', printf('key_%030d', i % 1000), 'user',
  CASE WHEN i % 4 = 1 THEN 'user-busy' ELSE printf('user-%030d', (i * 15485863) % 999) END,
  CASE WHEN i % 4 = 1 THEN 'busy@example.org' ELSE printf('person-%03d@example.org', (i * 15485863) % 999) END,
  '192.0.2.1', 'OpenAI/Python 1.76.0', '{{"id":"x","data":{{"name":"something"}}}}' FROM n;
INSERT INTO audit_log_resources SELECT 'org-bench', printf('thing_%030d', (sequence * 48271) % ({0} / 10 + 1)), type, effective_at, sequence FROM audit_logs;
INSERT INTO audit_log_resources SELECT 'org-bench', 'thing_busy', type, effective_at, sequence FROM audit_logs WHERE sequence % 20 = 13;
COMMIT;)",
      events, first_second, seconds_apart);
  char* failure = nullptr;
  if (sqlite3_exec(handle, sql.c_str(), nullptr, nullptr, &failure) != SQLITE_OK)
    throw std::runtime_error(failure);
  sqlite3_close(handle);
}

struct Question {
  std::string name;
  store::AuditLogFilter filter;
  store::AuditLogRange range;
};

std::string padded(std::string_view prefix, std::int64_t number) {
  return fmt::format("{}{:030}", prefix, number);
}

std::vector<Question> questions(std::int64_t events) {
  const auto filter = [](auto change) {
    store::AuditLogFilter made;
    change(made);
    return made;
  };
  const std::string middle = padded("audit_log-", events / 2);
  const std::string oldest = padded("audit_log-", 25);
  const std::int64_t last_second = first_second + events / 4 * seconds_apart;
  const std::int64_t middle_second = (first_second + last_second) / 2;
  using F = store::AuditLogFilter;
  const auto busy_type = filter([](F& f) { f.types = {"login.succeeded"}; });
  const auto type = filter([](F& f) { f.types = {"type.03"}; });
  const auto types = filter([](F& f) {
    for (int i = 0; i < 10; ++i)
      f.types.push_back(fmt::format("type.{:02}", i));
  });
  const auto project = filter([](F& f) { f.projects = {padded("proj_", 17)}; });
  const auto actor = filter([](F& f) { f.actor_ids = {padded("user-", 5)}; });
  const auto actors = filter([](F& f) {
    for (int i = 0; i < 50; ++i)
      f.actor_ids.push_back(padded("user-", i));
  });
  return {
      {"newest", {}, {}},
      {"newest, 100 of them", {}, {.limit = 100}},
      {"after the middle", {}, {.after = middle}},
      {"before the middle", {}, {.before = middle}},
      {"after the oldest 25", {}, {.after = oldest}},
      {"one hour", filter([&](F& f) { f.from = middle_second, f.to = middle_second + 3600; }), {}},
      {"one day, nothing of it left",
       filter([&](F& f) { f.from = middle_second, f.to = middle_second + 86400; }),
       {.after = padded("audit_log-", 4)}},
      {"the first half, its end", filter([&](F& f) { f.to = middle_second; }), {.after = oldest}},
      {"type, a half", busy_type, {}},
      {"type, a half, deep", busy_type, {.after = oldest}},
      {"type, a fiftieth", type, {.after = middle}},
      {"type of which there is none", filter([](F& f) { f.types = {"type.none"}; }), {}},
      {"10 types", types, {.after = middle, .limit = 100}},
      {"project, a twentieth", filter([](F& f) { f.projects = {"proj_busy"}; }), {.after = middle}},
      {"project", project, {.after = middle}},
      {"project, before", project, {.before = middle}},
      {"actor, a quarter", filter([](F& f) { f.actor_ids = {"user-busy"}; }), {.after = middle}},
      {"actor", actor, {.after = middle}},
      {"50 actors", actors, {.after = middle, .limit = 100}},
      {"e-mail", filter([](F& f) { f.actor_emails = {"person-005@example.org"}; }), {.after = middle}},
      {"resource", filter([](F& f) { f.resources = {padded("thing_", 77)}; }), {}},
      {"resource, a twentieth", filter([](F& f) { f.resources = {"thing_busy"}; }), {.after = middle}},
      {"type and project",
       filter([&](F& f) { f.types = type.types, f.projects = project.projects; }),
       {.after = middle}},
      {"10 types and 50 actors",
       filter([&](F& f) { f.types = types.types, f.actor_ids = actors.actor_ids; }),
       {.after = middle, .limit = 100}},
      {"busy project, busy actor",
       filter([](F& f) { f.projects = {"proj_busy"}, f.actor_ids = {"user-busy"}; }),
       {}},
      {"all five",
       filter([&](F& f) {
         f.types = types.types, f.projects = {"proj_busy"}, f.actor_ids = {"user-busy"};
         f.actor_emails = {"busy@example.org"}, f.resources = {"thing_busy"};
       }),
       {}},
      {"type and actor, frequent, never together",
       filter([&](F& f) { f.types = {"login.succeeded"}, f.actor_ids = {"user-busy"}; }),
       {}},
      {"type and project, never together",
       filter([&](F& f) { f.types = {"login.succeeded"}, f.projects = {"proj_busy"}; }),
       {}},
      {"type and resource, frequent, never together",
       filter([&](F& f) { f.types = {"login.succeeded"}, f.resources = {"thing_busy"}; }),
       {}},
      {"busy actor in an hour of the past",
       filter(
           [&](F& f) { f.actor_ids = {"user-busy"}, f.from = middle_second, f.to = middle_second + 3600; }),
       {}},
  };
}

double median_milliseconds(async::Runtime& runtime, store::AuditLogs& logs, const Question& question,
                           std::size_t& found) {
  std::vector<double> times;
  for (int i = 0; i < 7; ++i) {
    const auto started = SteadyClock::now();
    runtime.run_until_complete(
        [](store::AuditLogs& all, const Question& q, std::size_t& count) -> Task<void> {
          count = (co_await all.list(OrganizationId("org-bench"), q.filter, q.range)).items.size();
        }(logs, question, found));
    times.push_back(std::chrono::duration<double, std::milli>(SteadyClock::now() - started).count());
  }
  std::ranges::sort(times);
  return times[times.size() / 2];
}

}  // namespace
}  // namespace hearth

int main(int argc, char** argv) {
  using namespace hearth;
  log::configure(log::Level::warn, log::Format::console);
  const std::int64_t events = argc > 1 ? std::atoll(argv[1]) : 1'000'000;
  const double limit = argc > 2 ? std::atof(argv[2]) : 20.0;
  const BenchDirectory directory;
  store::open_data_directory(directory.path()).reset();  // the schema
  fill(directory.path() / "hearth.db", events);
  async::Runtime runtime(1);
  const auto database = store::open_data_directory(directory.path());
  store::AuditLogs logs(*database);
  fmt::print("A page of the audit log among {} events (limit: {} ms, median of 7)\n\n", events, limit);
  fmt::print("| {:<44} | events | median ms |        |\n|{:-<46}|-------:|----------:|--------|\n",
             "asked for", "");
  int missed = 0;
  for (const Question& question : questions(events)) {
    std::size_t found = 0;
    const double median = median_milliseconds(runtime, logs, question, found);
    const bool holds = median <= limit;
    if (!holds) ++missed;
    fmt::print("| {:<44} | {:>6} | {:>9.2f} | {} |\n", question.name, found, median,
               holds ? "ok    " : "MISSED");
    std::fflush(stdout);
  }
  return missed == 0 ? 0 : 1;
}
