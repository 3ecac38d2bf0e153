#include "app/admin_store.hpp"

#include <stdexcept>

#include <fmt/format.h>

#include "app/data_directory.hpp"
#include "store/sessions.hpp"

namespace hearth::app {
namespace {

constexpr std::string_view agent = "hearth admin";
constexpr std::string_view nobody_yet =
    "there is no organization yet: the first start of hearth serve makes it, with its first keys";

}  // namespace

AdminStore::AdminStore(const Config& config) {
  if (!database_exists(config)) throw std::runtime_error(std::string(nobody_yet));
  database_ = open_database(config);
  keys_ = std::make_unique<store::Keys>(*database_, clock_, ids_);
  administration_ = std::make_unique<store::Administration>(*database_, *keys_, clock_, ids_);
  const auto found = wait(store::Organizations(*database_).find_first());
  if (!found) throw std::runtime_error(std::string(nobody_yet));
  organization_ = found->id;
}

void AdminStore::wait(Task<void> task) {
  std::exception_ptr failure;
  runtime_.run_until_complete([](Task<void> work, std::exception_ptr& error) -> Task<void> {
    try {
      co_await std::move(work);
    } catch (...) {
      error = std::current_exception();
    }
  }(std::move(task), failure));
  if (failure) std::rethrow_exception(failure);
}

store::Actor AdminStore::actor() const {
  store::Actor actor;
  actor.organization = organization_;
  actor.type = store::ActorType::session;
  actor.user_agent = agent;
  return actor;
}

store::Actor AdminStore::actor(const store::User& user) const {
  return store::session_actor(user, "", std::string(agent));
}

store::User AdminStore::get_user(const std::string& email) {
  auto user = wait(administration_->users.find_by_email(organization_, email));
  if (!user) throw std::runtime_error(fmt::format("no user has the email address {}", email));
  return std::move(*user);
}

store::Project AdminStore::get_project(const std::string& id) {
  auto project = wait(administration_->projects.find(organization_, ProjectId(id)));
  if (!project) throw std::runtime_error(fmt::format("no project {}; see hearth admin projects", id));
  return std::move(*project);
}

}  // namespace hearth::app
