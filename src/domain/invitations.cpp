#include "domain/invitations.hpp"

#include <fmt/format.h>

#include "base/log.hpp"

namespace hearth::domain {

std::string accept_link(std::string_view base, std::string_view token) {
  return fmt::format("{}/invites/accept?token={}", base, token);
}

Task<store::Invite> Invitations::invite(store::Actor actor, store::NewInvite wanted) {
  wanted.lifetime = lifetime_;
  store::SentInvite sent = co_await invites_.create(std::move(actor), std::move(wanted));
  try {
    co_await notifier_.invited(sent.invite, accept_link(base_, sent.token));
  } catch (const std::exception& failure) {
    log::warn("invite_not_sent", {{"invite", sent.invite.id.str()}, {"reason", failure.what()}});
  }
  co_return std::move(sent.invite);
}

}  // namespace hearth::domain
