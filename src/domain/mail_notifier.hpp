// Tells invited people by mail.
#pragma once

#include <string>

#include "async/blocking_pool.hpp"
#include "base/id.hpp"
#include "domain/invite_notifier.hpp"
#include "net/mail.hpp"

namespace hearth::domain {

// Thread: any. Owned by app/.
class MailNotifier final : public InviteNotifier {
 public:
  MailNotifier(async::BlockingPool& pool, IdSource& ids, net::MailServer server, std::string from)
      : pool_(pool), ids_(ids), server_(std::move(server)), from_(std::move(from)) {}

  Task<void> invited(store::Invite invite, std::string link) override;

 private:
  async::BlockingPool& pool_;
  IdSource& ids_;
  net::MailServer server_;
  std::string from_;
};

}  // namespace hearth::domain
