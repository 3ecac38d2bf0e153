#include "domain/mail_notifier.hpp"

#include <ctime>

#include <fmt/chrono.h>
#include <fmt/format.h>

namespace hearth::domain {

Task<void> MailNotifier::invited(store::Invite invite, std::string link) {
  const std::string until =
      fmt::format("{:%Y-%m-%d %H:%M}", fmt::gmtime(static_cast<std::time_t>(invite.expires_at)));
  net::Mail mail{.from = from_,
                 .to = invite.email,
                 .subject = "Your invitation to Hearth",
                 .text = fmt::format(
                     "You are invited to a Hearth server.\n\nOpen this link to choose a password:\n\n{}\n\n"
                     "It works once, until {} UTC. Anyone who has it can use it, so keep it secret.\n"
                     "If you did not expect an invitation, ignore this message.\n",
                     link, until)};
  const std::string_view sender = net::mail_address_of(from_);
  std::string message_id = fmt::format("{}@{}", ids_.make("hearth-"), sender.substr(sender.rfind('@') + 1));
  co_await pool_.run([server = server_, mail = std::move(mail), message_id = std::move(message_id)] {
    net::send_mail(server, mail, message_id);
  });
}

}  // namespace hearth::domain
