#include "app/admin_command.hpp"

#include <charconv>
#include <chrono>
#include <cmath>
#include <ctime>
#include <stdexcept>

#include <fmt/chrono.h>
#include <fmt/format.h>

#include "app/admin_store.hpp"
#include "app/password_input.hpp"
#include "app/table.hpp"
#include "base/money.hpp"
#include "domain/invitations.hpp"
#include "domain/passwords.hpp"
#include "json/json.hpp"
#include "net/mail.hpp"
#include "store/access_epoch.hpp"
#include "store/budgets.hpp"
#include "store/certificates.hpp"
#include "store/personal_keys.hpp"
#include "store/roles.hpp"
#include "store/sessions.hpp"

namespace hearth::app {
namespace {

using contract::OrganizationRole;
using contract::ProjectRole;

constexpr std::chrono::hours reset_lifetime{24};
constexpr std::size_t page_size = 100;

[[noreturn]] void fail(std::string message) {
  throw std::runtime_error(std::move(message));
}

// Where links lead: the configured URL, or the first address as it is configured.
std::string link_base(const Config& config) {
  std::string url = config.server.public_url;
  if (url.empty()) {
    const std::string& address = config.server.listen.front();
    if (address.starts_with("unix:")) fail("links need server.public_url: the server listens on a socket");
    url = fmt::format("{}://{}", config.server.tls.certificate_file.empty() ? "http" : "https", address);
  }
  while (url.ends_with('/'))
    url.pop_back();
  return url;
}

std::string reset_link(const Config& config, std::string_view token) {
  return fmt::format("{}/password/reset?token={}", link_base(config), token);
}

OrganizationRole organization_role(const std::string& name) {
  if (name != "owner" && name != "reader")
    fail(fmt::format("--role: expected owner or reader, not \"{}\"", name));
  return store::parse_organization_role(name);
}

// nullopt: a link is wanted.
std::optional<std::string> obtain_password(PasswordSource source) {
  if (source == PasswordSource::standard_input) return read_password_line();
  if (source == PasswordSource::link || !is_terminal()) return std::nullopt;
  return prompt_password();
}

struct Membership {
  store::Project project;
  ProjectRole role;
};

std::vector<Membership> memberships(AdminStore& store, const std::vector<std::string>& projects) {
  std::vector<Membership> found;
  for (const std::string& text : projects) {
    const std::size_t colon = text.find(':');
    const std::string role = colon == std::string::npos ? "member" : text.substr(colon + 1);
    if (role != "owner" && role != "member")
      fail(fmt::format("--project: expected ID:owner or ID:member, not \"{}\"", text));
    store::Project project = store.get_project(text.substr(0, colon));
    if (project.status != store::ProjectStatus::active)
      fail(fmt::format("the project {} is archived", project.id.str()));
    found.push_back({std::move(project), store::parse_project_role(role)});
  }
  return found;
}

// Adds a user, and a link for the password where none was given.
void add(const Config& config, const AdminRequest& request, OrganizationRole role) {
  if (!net::is_mail_address(request.email))
    fail(fmt::format("\"{}\" is not an email address", request.email));
  AdminStore store(config);
  const auto projects = memberships(store, request.projects);
  const auto password = obtain_password(request.password);
  std::optional<std::string> hash;
  if (password) hash = domain::hash_password(*password, store.ids());
  const store::NewUser wanted{
      .email = request.email,
      .name = request.name.empty() ? request.email.substr(0, request.email.find('@')) : request.name,
      .role = role,
      .password_hash = hash};
  const std::string base = password ? std::string() : link_base(config);  // fails before anything is made
  const std::string token =
      store.wait(store.database().write(store.organization(), [&](db::Connection& connection) -> std::string {
        const store::User user =
            store::Users::add_in(connection, store.clock(), store.ids(), store.actor(), wanted);
        for (const Membership& membership : projects) {
          const store::Actor actor = store.actor(user);
          store::Change change{connection, store.clock(), store.ids(), actor, membership.project};
          store::ProjectUsers::add_in(change, user.id, membership.role);
        }
        if (hash) return "";
        return store::Sessions::create_reset_in(connection, store.clock(), store.ids(), user, reset_lifetime);
      }));
  fmt::print("{} is {} of the organization.\n", request.email, store::role_name(role));
  if (!token.empty())
    fmt::print("Link for choosing a password, valid once and for one day: {}\n", reset_link(config, token));
}

std::string render_date(std::optional<UnixSeconds> at) {
  return at ? fmt::format("{:%Y-%m-%d}", fmt::gmtime(static_cast<std::time_t>(*at))) : "never";
}

// All pages of a list.
template <class Item, class List>
std::vector<Item> read_all(AdminStore& store, List list) {
  std::vector<Item> all;
  store::PageRequest request{.limit = page_size};
  while (true) {
    auto page = store.wait(list(request));
    for (Item& item : page.items)
      all.push_back(std::move(item));
    if (!page.has_more) return all;
    request.after = all.back().id.str();
  }
}

std::vector<store::Project> all_projects(AdminStore& store) {
  return read_all<store::Project>(store, [&](const store::PageRequest& page) {
    return store.administration().projects.list(store.organization(), store::ProjectsShown::all, page);
  });
}

store::CreatedAdminKey create_admin_key(AdminStore& store, const std::string& name,
                                        const std::string& email) {
  store::KeyDirectory& keys = store.administration().keys;
  if (!email.empty()) {
    const store::User user = store.get_user(email);
    if (user.role != OrganizationRole::owner)
      fail(fmt::format("{} is not an owner of the organization", email));
    return store.wait(keys.create_admin(store.actor(user), {contract::OwnerKind::user, user.id.str()}, name));
  }
  const auto account =
      store.wait(store.database().read([&](db::Connection& connection) -> std::optional<std::string> {
        const db::Rows rows = connection.query(
            "SELECT id FROM service_accounts WHERE organization_id = $1 AND administers = 1 ORDER BY "
            "created_at LIMIT 1",
            {store.organization()});
        if (rows.empty()) return std::nullopt;
        return rows[0].get<std::string>(0);
      }));
  if (!account) fail("no service account is an administrator any more: name an owner with --user");
  return store.wait(keys.create_admin(store.actor(), {contract::OwnerKind::service_account, *account}, name));
}

}  // namespace

void create_owner(const Config& config, const AdminRequest& request) {
  add(config, request, OrganizationRole::owner);
}

void add_user(const Config& config, const AdminRequest& request) {
  add(config, request, organization_role(request.role));
}

void print_invite_link(const Config& config, const std::string& email) {
  const std::string base = link_base(config);
  AdminStore store(config);
  const auto sent = store.wait(store.administration().invites.renew_link(store.organization(), email));
  if (!sent) fail(fmt::format("there is no pending invite for {}", email));
  fmt::print("{}\n", domain::accept_link(base, sent->token));
}

void accept_invite(const Config& config, const AdminRequest& request) {
  AdminStore store(config);
  const auto sent =
      store.wait(store.administration().invites.renew_link(store.organization(), request.email));
  if (!sent) fail(fmt::format("there is no pending invite for {}", request.email));
  const auto password = obtain_password(request.password);
  if (!password) fail("a password is needed: --password-stdin, or a terminal");
  const auto user = store.wait(store.administration().invites.accept(
      sent->token, {.name = request.name,
                    .password_hash = domain::hash_password(*password, store.ids()),
                    .address = "",
                    .user_agent = store.actor().user_agent}));
  if (!user) fail("the invite was accepted or deleted a moment ago");
  fmt::print("{} is {} of the organization.\n", user->email, store::role_name(user->role));
}

void reset_password(const Config& config, const AdminRequest& request) {
  AdminStore store(config);
  const store::User user = store.get_user(request.email);
  const auto password = obtain_password(request.password);
  if (!password) {
    link_base(config);
    const std::string token = store.wait(
        store::Sessions(store.database(), store.clock(), store.ids()).create_reset(user, reset_lifetime));
    fmt::print("{}\n", reset_link(config, token));
    return;
  }
  const std::string hash = domain::hash_password(*password, store.ids());
  store.wait(store.database().write(store.organization(), [&](db::Connection& connection) {
    store::Sessions::change_password_in(connection, store.clock(), store.ids(), store.actor(user), user.id,
                                        hash);
  }));
  fmt::print("{} has a new password; all sessions have ended.\n", user.email);
}

void mint_key(const Config& config, const std::string& project, const std::string& name,
              const std::string& email) {
  AdminStore store(config);
  if (project.empty()) {
    fmt::print("{}\n", create_admin_key(store, name, email).secret);
    return;
  }
  const store::Project found = store.get_project(project);
  if (email.empty()) {
    const auto made =
        store.wait(store.administration().service_accounts.create(store.actor(), found.id, name));
    fmt::print("{}\n", made.key.secret);
    return;
  }
  const store::User user = store.get_user(email);
  store::PersonalKeys keys(store.database(), store.clock(), store.ids());
  const auto key = store.wait(keys.create(store.actor(user), found.id, name));
  if (!key) fail(fmt::format("{} does not belong to the project {}, or it is archived", email, project));
  fmt::print("{}\n", key->secret);
}

void set_budget(const Config& config, const std::string& project, const std::string& amount) {
  std::optional<store::Budget> budget;
  if (amount == "none") {
    budget.emplace();
  } else if (amount != "default") {
    double value = 0;
    const auto [end, fault] = std::from_chars(amount.data(), amount.data() + amount.size(), value);
    if (fault != std::errc() || end != amount.data() + amount.size() || !(value >= 0 && value <= 1e9))
      fail(fmt::format("expected an amount, none or default, not \"{}\"", amount));
    budget.emplace(store::Budget{to_money(value)});
  }
  AdminStore store(config);
  const store::Project found = store.get_project(project);
  const store::Tenant tenant{store.organization(), found.id};
  store.wait(store.database().write(store.organization(), [&](db::Connection& connection) {
    if (budget) {
      store::Budgets::set_in(connection, tenant, *budget, store.clock());
    } else {
      store::Budgets::reset_in(connection, tenant);
    }
    const json::value details{{"id", found.id.str()}, {"changes_requested", json::object()}};
    store::AuditLogs::append_in(connection, store.clock(), store.ids(), store.actor(),
                                {.type = "project.updated",
                                 .project = found.id,
                                 .project_name = found.name,
                                 .resources = {found.id.str()},
                                 .details = json::write(details)});
  }));
  fmt::print("{}: {} a month\n", found.name, amount == "none" ? "no limit" : amount);
}

void deactivate_certificates(const Config& config) {
  AdminStore store(config);
  store::Certificates certificates(store.database(), store.clock(), store.ids());
  const std::size_t ended = store.wait(certificates.deactivate_all(store.actor()));
  fmt::print("{} certificate activation{} ended.\n", ended, ended == 1 ? "" : "s");
}

void list_users(const Config& config) {
  AdminStore store(config);
  std::vector<std::vector<std::string>> rows{{"EMAIL", "ROLE", "ADDED", "ID", "NAME"}};
  for (const store::User& user : read_all<store::User>(store, [&](const store::PageRequest& page) {
         return store.administration().users.list(store.organization(), {}, page);
       })) {
    rows.push_back({user.email, std::string(store::role_name(user.role)), render_date(user.added_at),
                    user.id.str(), user.name});
  }
  print_table(rows);
}

void list_projects(const Config& config) {
  AdminStore store(config);
  std::vector<std::vector<std::string>> rows{{"ID", "STATUS", "CREATED", "NAME"}};
  for (const store::Project& project : all_projects(store)) {
    const bool active = project.status == store::ProjectStatus::active;
    rows.push_back(
        {project.id.str(), active ? "active" : "archived", render_date(project.created_at), project.name});
  }
  print_table(rows);
}

void list_keys(const Config& config) {
  AdminStore store(config);
  store::KeyDirectory& keys = store.administration().keys;
  std::vector<std::vector<std::string>> rows{{"KEY", "FOR", "OWNER", "USED", "ID", "NAME"}};
  const auto add_rows = [&](const std::string& place, const std::vector<store::ListedKey>& listed) {
    for (const store::ListedKey& key : listed) {
      rows.push_back({key.redacted_value, place, key.owner.email.empty() ? key.owner.name : key.owner.email,
                      render_date(key.last_used_at), key.id.str(), key.name});
    }
  };
  add_rows("admin", read_all<store::ListedKey>(store, [&](const store::PageRequest& page) {
             return keys.list_admin(store.organization(), page);
           }));
  for (const store::Project& project : all_projects(store)) {
    if (project.status != store::ProjectStatus::active) continue;
    add_rows(project.name, read_all<store::ListedKey>(store, [&](const store::PageRequest& page) {
               return keys.list({store.organization(), project.id}, page);
             }));
  }
  print_table(rows);
}

}  // namespace hearth::app
