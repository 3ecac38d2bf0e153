// Inviting people: the invite is kept, then the person is told.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "domain/invite_notifier.hpp"
#include "store/invites.hpp"

namespace hearth::domain {

// Where an invite is accepted: `base` is the server's URL as people reach it, without /v1.
std::string accept_link(std::string_view base, std::string_view token);

// Thread: any. Owned by app/.
class Invitations {
 public:
  Invitations(store::Invites& invites, InviteNotifier& notifier, std::chrono::seconds lifetime)
      : invites_(invites), notifier_(notifier), lifetime_(lifetime) {}

  // Once, before the first request.
  void serve_at(std::string base) { base_ = std::move(base); }

  // The invite's lifetime is the server's. Errors: those of store::Invites::create; that the person could not
  // be told is none.
  Task<store::Invite> invite(store::Actor actor, store::NewInvite invite);

 private:
  store::Invites& invites_;
  InviteNotifier& notifier_;
  std::chrono::seconds lifetime_;
  std::string base_;
};

}  // namespace hearth::domain
