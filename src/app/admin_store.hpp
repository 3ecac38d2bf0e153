// The organization's store for a command line: opened, waited for, and who acts on it.
#pragma once

#include <memory>
#include <string>

#include "app/config.hpp"
#include "async/runtime.hpp"
#include "db/database.hpp"
#include "store/administration.hpp"
#include "store/audit_logs.hpp"
#include "store/organizations.hpp"

namespace hearth::app {

// Blocking. Thread: the one that made it. Throws std::exception with a message for the terminal.
class AdminStore {
 public:
  // Throws when no server has started on the database yet: its first start makes the organization.
  explicit AdminStore(const Config& config);

  template <class T>
  T wait(Task<T> task) {
    std::optional<T> result;
    std::exception_ptr failure;
    runtime_.run_until_complete(
        [](Task<T> work, std::optional<T>& out, std::exception_ptr& error) -> Task<void> {
          try {
            out.emplace(co_await std::move(work));
          } catch (...) {
            error = std::current_exception();
          }
        }(std::move(task), result, failure));
    if (failure) std::rethrow_exception(failure);
    return std::move(*result);
  }
  void wait(Task<void> task);

  db::Database& database() { return *database_; }
  const Clock& clock() const { return clock_; }
  IdSource& ids() { return ids_; }
  const OrganizationId& organization() const { return organization_; }
  store::Administration& administration() { return *administration_; }

  // The actor who is nobody in particular.
  store::Actor actor() const;
  store::Actor actor(const store::User& user) const;
  // Throws where there is none.
  store::User get_user(const std::string& email);
  store::Project get_project(const std::string& id);

 private:
  Clock clock_;
  IdSource ids_{clock_};
  async::Runtime runtime_{1};
  std::unique_ptr<db::Database> database_;
  std::unique_ptr<store::Keys> keys_;
  std::unique_ptr<store::Administration> administration_;
  OrganizationId organization_;
};

}  // namespace hearth::app
