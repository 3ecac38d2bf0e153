#include "net/mail.hpp"

#include <gtest/gtest.h>

namespace hearth::net {
namespace {

TEST(Mail, AddressesCannotBreakOut) {
  EXPECT_TRUE(is_mail_address("ann@example.org"));
  EXPECT_TRUE(
      is_mail_address("ann+hearth@b\xc3\xbc"
                      "cher.example"));
  for (const char* text : {"", "ann", "@example.org", "ann@", "a b@c", "a@b\r\nRCPT TO:<x@y>", "<a@b>",
                           "a@b>,<c@d", "a@b,c@d", "\"a\"@b"}) {
    EXPECT_FALSE(is_mail_address(text)) << text;
  }
  EXPECT_EQ(mail_address_of("Hearth <a@b>"), "a@b");
  EXPECT_EQ(mail_address_of("a@b"), "a@b");
}

TEST(Mail, HeadersCannotBeAdded) {
  const Mail mail{.from = "He\r\nBcc: x@y <hearth@example.org>",
                  .to = "ann@example.org",
                  .subject = "Hi\r\nBcc: everyone@example.org",
                  .text = ".\r\nQUIT\r\nBcc: x@y\n"};
  const std::string message = render_mail(mail, "Tue, 29 Apr 2025 00:00:00 +0000", "1@hearth");
  EXPECT_EQ(message.find("\r\nBcc:"), std::string::npos);
  EXPECT_EQ(message.find("QUIT"), std::string::npos);
  EXPECT_NE(message.find("\r\nTo: <ann@example.org>\r\nSubject: =?UTF-8?B?"), std::string::npos);
  EXPECT_NE(message.find("\r\n\r\nLg0KUVVJVA0K"), std::string::npos);
}

TEST(Mail, LongSubjectsAreFolded) {
  std::string subject;
  for (int i = 0; i < 60; ++i)
    subject += "\xc3\xa9";
  const std::string message =
      render_mail({.from = "a@b", .to = "c@d", .subject = subject, .text = "x"}, "now", "1@h");
  EXPECT_NE(message.find("?=\r\n =?UTF-8?B?"), std::string::npos);
}

TEST(Mail, AnUnreachableServerIsAnError) {
  const MailServer server{.url = "smtp://127.0.0.1:9", .timeout = std::chrono::milliseconds(2000)};
  EXPECT_THROW(send_mail(server, {.from = "a@b", .to = "c@d", .subject = "s", .text = "t"}, "1@h"),
               std::runtime_error);
  EXPECT_THROW(send_mail(server, {.from = "a@b", .to = "c@d>\r\n", .subject = "s", .text = "t"}, "1@h"),
               std::runtime_error);
}

}  // namespace
}  // namespace hearth::net
