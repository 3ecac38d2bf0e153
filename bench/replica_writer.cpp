// One replica that stores chat completions on PostgreSQL for one organization: replica_writes.py runs
// several.
//
//   replica_writer URL ORGANIZATION CALLERS
//
// Makes the organization where it is absent, prints "ready" and waits for a line with the seconds to write
// for. It writes for half as long to warm up, then for the seconds, and prints how many completions a second
// became durable.
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <string>

#include <fmt/format.h>

#include "async/runtime.hpp"
#include "async/scope.hpp"
#include "base/log.hpp"
#include "db/postgres.hpp"
#include "store/chat_completions.hpp"
#include "store/schema.hpp"

namespace hearth {
namespace {

using SteadyClock = std::chrono::steady_clock;

Task<void> make_organization(db::Database& database, store::Tenant tenant) {
  co_await database.write(db::WriteScope::everyone(), [&](db::Connection& connection) {
    connection.execute(
        "INSERT INTO organizations (id, name, created_at) VALUES ($1, 'x', 1) ON CONFLICT (id) DO NOTHING",
        {tenant.organization});
    connection.execute(
        "INSERT INTO projects (id, organization_id, name, status, is_default, created_at) "
        "VALUES ($1, $2, 'x', 'active', 0, 1) ON CONFLICT (id) DO NOTHING",
        {tenant.project, tenant.organization});
  });
}

Task<void> write_until(store::ChatCompletions& completions, store::Tenant tenant, IdSource& ids,
                       SteadyClock::time_point end, std::size_t& written) {
  while (SteadyClock::now() < end) {
    co_await completions.create(tenant, {{.id = CompletionId(ids.make("chatcmpl-")),
                                          .created_at = 1'745'884'800,
                                          .model = "tiny",
                                          .request = R"({"temperature":0.7})",
                                          .response = R"({"object":"chat.completion"})",
                                          .metadata = {{"session", "0123456789"}}},
                                         {R"({"role":"user","content":"Hello"})",
                                          R"({"role":"assistant","content":"Good morning"})"}});
    ++written;
  }
}

Task<void> write_all(store::ChatCompletions& completions, store::Tenant tenant, IdSource& ids,
                     SteadyClock::duration time, int callers, std::size_t& written) {
  async::Scope scope(co_await boost::asio::this_coro::executor);
  const auto end = SteadyClock::now() + time;
  for (int caller = 0; caller < callers; ++caller)
    scope.spawn("caller", write_until(completions, tenant, ids, end, written));
  co_await scope.join();
}

int run(const std::string& url, const std::string& organization, int callers) {
  const Clock clock;
  IdSource ids(clock);
  async::Runtime runtime(1);
  const auto database = store::open_database(db::open_postgres({.url = url}), {.readers = 1});
  store::ChatCompletions completions(*database);
  const store::Tenant tenant{OrganizationId(organization), ProjectId("proj_" + organization)};
  runtime.run_until_complete(make_organization(*database, tenant));
  std::cout << "ready" << std::endl;
  double seconds = 0;
  std::cin >> seconds;
  double rate = 0;
  for (const double part : {seconds / 2, seconds}) {
    std::size_t written = 0;
    const auto time = std::chrono::duration_cast<SteadyClock::duration>(std::chrono::duration<double>(part));
    const auto started = SteadyClock::now();
    runtime.run_until_complete(write_all(completions, tenant, ids, time, callers, written));
    const std::chrono::duration<double> took = SteadyClock::now() - started;  // with the last group
    rate = static_cast<double>(written) / took.count();
  }
  std::cout << rate << std::endl;
  return 0;
}

}  // namespace
}  // namespace hearth

int main(int count, char** arguments) {
  if (count != 4) {
    fmt::print(stderr, "usage: replica_writer URL ORGANIZATION CALLERS\n");
    return 2;
  }
  return hearth::run(arguments[1], arguments[2], std::atoi(arguments[3]));
}
