// Sends one mail over SMTP.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

namespace hearth::net {

struct MailServer {
  std::string url;                            // "smtp://host:587" or "smtps://host:465"
  std::string user;                           // empty: without login
  std::string password;                       // …
  std::chrono::milliseconds timeout{10'000};  // for the whole conversation
};

struct Mail {
  std::string from;  // "hearth@example.org" or "Hearth <hearth@example.org>"
  std::string to;    // an address alone
  std::string subject;
  std::string text;  // UTF-8, lines end with \n
};

// Whether the text is one address without anything that could end a line or an address.
bool is_mail_address(std::string_view text);
// The address in "Name <address>", or the text itself.
std::string_view mail_address_of(std::string_view text);

// The message as it travels: headers that nothing in the parts can break out of, text in base64.
std::string render_mail(const Mail& mail, std::string_view date, std::string_view message_id);

// Blocking: for the blocking pool. smtp:// goes over to TLS where the server offers it, and must where a
// password is sent. Throws std::runtime_error, which says what went wrong and never contains the password.
void send_mail(const MailServer& server, const Mail& mail, std::string_view message_id);

}  // namespace hearth::net
