// Servers that change everything at once, for several organizations: nothing fails, and nothing is lost.
#include <random>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "async/deadline.hpp"
#include "async/scope.hpp"
#include "store/conformance.hpp"
#include "store/usage.hpp"

namespace hearth::store {
namespace {

using namespace std::chrono_literals;

constexpr int steps = 12;  // of each caller

// What callers made, all together.
struct Made {
  int completions = 0;
  int projects = 0;
  std::int64_t requests = 0;
  std::vector<std::string> failures;
};

// A caller of one server, who works for one organization; its usage is of both.
class Caller {
 public:
  Caller(Server& server, std::vector<Tenant> tenants, Actor actor, std::string name, unsigned seed,
         Made& made)
      : server_(server),
        usage_(*server.database),
        tenants_(std::move(tenants)),
        actor_(std::move(actor)),
        name_(std::move(name)),
        random_(seed),
        made_(made) {}

  Task<void> work() {
    try {
      for (step_ = 0; step_ < steps; ++step_)
        co_await take_step();
    } catch (const ApiError& error) {
      made_.failures.push_back(error.message());
    } catch (const std::exception& error) {
      made_.failures.push_back(error.what());
    }
  }

 private:
  Task<void> take_step() {
    const Tenant& own = tenants_.front();
    const std::string id = fmt::format("{}-{}", name_, step_);
    switch (std::uniform_int_distribution<int>(0, 5)(random_)) {
      case 0:
      case 1:
        ++made_.completions;
        co_return co_await server_.completions.create(
            own, {{.id = CompletionId(id), .created_at = 1, .model = "m", .request = "{}", .response = "{}"},
                  {"{}"}});
      case 2:
        ++made_.projects;
        co_await server_.projects.create(actor_, id);
        co_return;
      case 3: {
        const auto account = co_await server_.accounts.create(actor_, own.project, id);
        co_await server_.find_key(account.key.secret);
        co_await server_.keys.flush_uses();
        co_return co_await server_.accounts.remove(actor_, own.project, account.account.id);
      }
      case 4: {
        UsageBatch batch{.writer = name_, .number = ++batches_};
        for (const Tenant& tenant : tenants_) {
          batch.usage.push_back({{.tenant = tenant, .model = id}, 0, {.requests = 1}});
          batch.costs.push_back({tenant, 0, "m, input", 1});
          ++made_.requests;
        }
        co_await usage_.add(batch, 1);
        co_return;
      }
      default:
        co_await server_.models.put({.id = ModelId(id), .spec = "{}"});
    }
  }

  Server& server_;
  Usage usage_;
  std::vector<Tenant> tenants_;
  Actor actor_;
  std::string name_;
  std::mt19937 random_;
  Made& made_;
  int step_ = 0;
  std::int64_t batches_ = 0;
};

TEST_P(StoreConformance, ServersNeverWaitForEachOtherInACircle) {
  const auto here = start();
  const auto there = start();
  const Tenant first = make_tenant(*here);
  const Tenant second = add_project(*here, OrganizationId("org-second"));
  const unsigned seed = std::random_device()();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  Made made;
  std::vector<std::unique_ptr<Caller>> callers;
  for (int i = 0; i < 12; ++i) {
    const bool swapped = i / 2 % 2 == 1;
    std::vector<Tenant> tenants = swapped ? std::vector{second, first} : std::vector{first, second};
    Actor actor = act_for(tenants.front());
    callers.push_back(std::make_unique<Caller>(i % 2 == 0 ? *here : *there, std::move(tenants),
                                               std::move(actor), fmt::format("caller{}", i),
                                               seed + static_cast<unsigned>(i), made));
  }
  run(async::with_deadline(90s, [](std::vector<std::unique_ptr<Caller>>& all) -> Task<void> {
    async::Scope scope(co_await boost::asio::this_coro::executor);
    for (const auto& caller : all)
      scope.spawn("caller", caller->work());
    co_await scope.join();
  }(callers)));
  EXPECT_EQ(made.failures, std::vector<std::string>());
  run([](Server& s, const Made& expected) -> Task<void> {
    const auto count = [&s](std::string sql) -> Task<std::int64_t> {
      co_return co_await s.database->read(
          [&sql](db::Connection& connection) { return connection.query(sql)[0].get<std::int64_t>(0); });
    };
    EXPECT_EQ(co_await count("SELECT COUNT(*) FROM chat_completions"), expected.completions);
    EXPECT_EQ(
        co_await count(
            "SELECT CAST(COALESCE(SUM(value), 0) AS BIGINT) FROM sequences WHERE name = 'chat_completions'"),
        expected.completions);
    EXPECT_EQ(co_await count("SELECT COUNT(*) FROM audit_logs WHERE type = 'project.created'"),
              expected.projects);
    EXPECT_EQ(co_await count("SELECT CAST(COALESCE(SUM(requests), 0) AS BIGINT) FROM usage_days"),
              expected.requests);
  }(*here, made));
}

}  // namespace
}  // namespace hearth::store
