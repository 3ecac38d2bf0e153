// How an invited person hears of the invitation.
//
// Called after the invite is on the disk. What it throws loses nothing: the failure is logged, the invite
// stays pending, and the command line can make another link for it. A mail sender derives from it; without
// one nobody is told.
#pragma once

#include <string>

#include "async/task.hpp"
#include "store/invites.hpp"

namespace hearth::domain {

// Thread: any.
class InviteNotifier {
 public:
  virtual ~InviteNotifier() = default;
  // `link` is a secret: whoever has it can accept. It must not be logged.
  virtual Task<void> invited(store::Invite invite, std::string link) = 0;
};

// For servers that cannot send anything.
class SilentInviteNotifier : public InviteNotifier {
 public:
  Task<void> invited(store::Invite, std::string) override { co_return; }
};

}  // namespace hearth::domain
