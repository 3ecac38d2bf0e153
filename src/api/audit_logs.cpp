// GET /organization/audit_logs.
#include <algorithm>
#include <limits>

#include "api/call.hpp"
#include "api/pages.hpp"
#include "api/services.hpp"
#include "base/api_error.hpp"
#include "base/log.hpp"
#include "contract/fields.hpp"
#include "contract/handlers.hpp"
#include "store/roles.hpp"

namespace hearth::api {
namespace {

namespace field = contract::field;

json::object render_user(const store::Actor& actor) {
  json::object user;
  if (!actor.id.empty()) user[field::id] = actor.id;
  if (!actor.email.empty()) user[field::email] = actor.email;
  return user;
}

json::object render_actor(const store::Actor& actor) {
  if (actor.type == store::ActorType::session) {
    json::object session;
    if (json::object user = render_user(actor); !user.empty()) session[field::user] = std::move(user);
    if (!actor.address.empty()) session[field::ip_address] = actor.address;
    if (!actor.user_agent.empty()) session[field::user_agent] = actor.user_agent;
    return {{field::type, "session"}, {field::session, std::move(session)}};
  }
  json::object key;
  if (actor.key) key[field::id] = actor.key->str();
  key[field::type] = store::kind_name(actor.owner_kind);
  if (actor.owner_kind == contract::OwnerKind::user) {
    key[field::user] = render_user(actor);
  } else {
    key[field::service_account] = {{field::id, actor.id}};
  }
  return {{field::type, "api_key"}, {field::api_key, std::move(key)}};
}

json::object render_event(store::AuditLog event) {
  json::object rendered{
      {field::id, event.id.str()}, {field::type, event.type}, {field::effective_at, event.effective_at}};
  if (event.project)
    rendered[field::project] = {{field::id, event.project->str()}, {field::name, event.project_name}};
  rendered[field::actor] = render_actor(event.actor);
  auto details = json::parse(event.details);
  if (!details) {
    log::error("an audit event's details cannot be read", {{"event", event.id.str()}});
    throw ApiError::internal();
  }
  // Some events have no details.
  if (details->is_object() && !details->get_object().empty()) rendered[event.type] = std::move(*details);
  return rendered;
}

void read_times(const json::object& times, store::AuditLogFilter& filter) {
  using Limits = std::numeric_limits<UnixSeconds>;
  if (const auto value = json::find_integer(times, field::gt))
    filter.from = std::max(filter.from, *value < Limits::max() ? *value + 1 : Limits::max());
  if (const auto value = json::find_integer(times, field::gte)) filter.from = std::max(filter.from, *value);
  if (const auto value = json::find_integer(times, field::lt))
    filter.to = std::min(filter.to, *value > Limits::min() ? *value - 1 : Limits::min());
  if (const auto value = json::find_integer(times, field::lte)) filter.to = std::min(filter.to, *value);
}

std::vector<std::string> read_list(const json::object& query, std::string_view name) {
  std::vector<std::string> values = read_texts(query, name);
  // A value that is named twice is asked for once.
  std::ranges::sort(values);
  const auto repeated = std::ranges::unique(values);
  values.erase(repeated.begin(), repeated.end());
  return values;
}

store::AuditLogFilter read_filter(const json::object& query) {
  store::AuditLogFilter filter;
  if (const json::object* times = json::find_object(query, field::effective_at)) read_times(*times, filter);
  filter.projects = read_list(query, field::project_ids);
  filter.types = read_list(query, field::event_types);
  filter.actor_ids = read_list(query, field::actor_ids);
  filter.actor_emails = read_list(query, field::actor_emails);
  filter.resources = read_list(query, field::resource_ids);
  return filter;
}

std::optional<std::string> read_text(const json::object& query, std::string_view name) {
  const auto text = json::find_string(query, name);
  return text ? std::optional(std::string(*text)) : std::nullopt;
}

}  // namespace

Task<contract::Reply> list_audit_logs(Services& services, Call& call) {
  store::AuditLogRange range{
      .after = read_text(call.query, field::after),
      .before = read_text(call.query, field::before),
      .limit = static_cast<std::size_t>(*json::find_integer(call.query, field::limit))};
  auto page = co_await services.organization.audit_logs.list(call.principal.organization,
                                                             read_filter(call.query), std::move(range));
  co_return contract::Reply::of(render_page(std::move(page), render_event));
}

}  // namespace hearth::api
