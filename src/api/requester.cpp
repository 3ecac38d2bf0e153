#include "api/requester.hpp"

#include "base/text.hpp"

namespace hearth::api {
namespace {

constexpr std::size_t max_user_agent = 512;  // bytes that the audit log keeps

std::string shown_user_agent(std::string_view sent) {
  return text::is_valid_utf8(sent) ? std::string(text::truncate_utf8(sent, max_user_agent)) : std::string();
}

}  // namespace

store::Tenant tenant_of(const contract::Call& call) {
  return {call.principal.organization, call.project()};
}

store::Actor actor_of(const contract::Call& call) {
  const contract::Principal& principal = call.principal;
  return {.organization = principal.organization,
          .type = store::ActorType::api_key,
          .key = principal.key,
          .owner_kind = principal.owner.kind,
          .id = principal.owner.id,
          .email = principal.owner.email,
          .address = std::string(call.client.address),
          .user_agent = shown_user_agent(call.client.user_agent)};
}

store::Actor visitor_actor(std::string_view address, std::string_view user_agent) {
  store::Actor actor;
  actor.type = store::ActorType::session;
  actor.address = address;
  actor.user_agent = shown_user_agent(user_agent);
  return actor;
}

}  // namespace hearth::api
