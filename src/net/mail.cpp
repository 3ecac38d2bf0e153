#include "net/mail.hpp"

#include <algorithm>
#include <cstring>
#include <ctime>
#include <curl/curl.h>
#include <memory>
#include <mutex>
#include <span>
#include <stdexcept>

#include <fmt/chrono.h>
#include <fmt/format.h>

#include "base/text.hpp"

namespace hearth::net {
namespace {

constexpr std::size_t max_address = 320;
constexpr std::size_t base64_line = 76;
constexpr std::size_t word_bytes = 42;  // of an encoded word: 56 letters of base64, below the 75 allowed

std::string base64(std::string_view bytes) {
  return text::encode_base64(std::as_bytes(std::span(bytes)));
}

bool is_plain(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c >= ' ' && c < 0x7F; });
}

// A header's text: as it is where that is plain ASCII, else in encoded words. Line ends cannot get through.
std::string header_text(std::string_view text) {
  if (is_plain(text) && text.size() <= 200) return std::string(text);
  std::string words;
  while (!text.empty()) {
    std::string_view piece = text::truncate_utf8(text, word_bytes);
    if (piece.empty()) piece = text.substr(0, word_bytes);  // no UTF-8: still ends
    words += fmt::format("{}=?UTF-8?B?{}?=", words.empty() ? "" : "\r\n ", base64(piece));
    text.remove_prefix(piece.size());
  }
  return words;
}

// "Name <address>" with a name of any letters.
std::string mailbox_text(std::string_view mailbox) {
  const std::string_view address = mail_address_of(mailbox);
  if (address.size() == mailbox.size()) return std::string(address);
  std::string_view name = mailbox.substr(0, mailbox.rfind('<'));
  while (name.ends_with(' '))
    name.remove_suffix(1);
  return fmt::format("{} <{}>", fmt::format("=?UTF-8?B?{}?=", base64(text::truncate_utf8(name, word_bytes))),
                     address);
}

struct Upload {
  std::string_view rest;
};

std::size_t read_upload(char* buffer, std::size_t size, std::size_t count, void* user) {
  auto& upload = *static_cast<Upload*>(user);
  const std::size_t bytes = std::min(upload.rest.size(), size * count);
  std::memcpy(buffer, upload.rest.data(), bytes);
  upload.rest.remove_prefix(bytes);
  return bytes;
}

struct FreeCurl {
  void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
};
struct FreeList {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

}  // namespace

bool is_mail_address(std::string_view text) {
  const std::size_t at = text.rfind('@');
  if (at == std::string_view::npos || at == 0 || at + 1 == text.size() || text.size() > max_address)
    return false;
  constexpr std::string_view breaking = "<>()[],;:\\\"";
  return std::ranges::all_of(text, [&](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte > ' ' && byte != 0x7F && breaking.find(c) == std::string_view::npos;
  });
}

std::string_view mail_address_of(std::string_view text) {
  const std::size_t open = text.rfind('<');
  if (open == std::string_view::npos || !text.ends_with('>')) return text;
  return text.substr(open + 1, text.size() - open - 2);
}

std::string render_mail(const Mail& mail, std::string_view date, std::string_view message_id) {
  const std::string encoded = base64(mail.text);
  std::string body;
  for (std::size_t i = 0; i < encoded.size(); i += base64_line) {
    body += encoded.substr(i, base64_line);
    body += "\r\n";
  }
  return fmt::format(
      "Date: {}\r\nFrom: {}\r\nTo: <{}>\r\nSubject: {}\r\nMessage-ID: <{}>\r\nAuto-Submitted: "
      "auto-generated\r\n"
      "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: "
      "base64\r\n\r\n{}",
      date, mailbox_text(mail.from), mail.to, header_text(mail.subject), message_id, body);
}

void send_mail(const MailServer& server, const Mail& mail, std::string_view message_id) {
  if (!is_mail_address(mail.to)) throw std::runtime_error("the recipient is no address that mail can go to");
  const std::string_view sender = mail_address_of(mail.from);
  if (!is_mail_address(sender)) throw std::runtime_error("smtp.from is no mail address");
  static std::once_flag initialised;
  std::call_once(initialised, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
  const std::unique_ptr<CURL, FreeCurl> curl(curl_easy_init());
  if (!curl) throw std::runtime_error("libcurl cannot be started");
  const std::string date = fmt::format("{:%a, %d %b %Y %H:%M:%S} +0000", fmt::gmtime(std::time(nullptr)));
  const std::string message = render_mail(mail, date, message_id);
  Upload upload{message};
  const std::string from = fmt::format("<{}>", sender);
  const std::string to = fmt::format("<{}>", mail.to);
  const std::unique_ptr<curl_slist, FreeList> recipients(curl_slist_append(nullptr, to.c_str()));
  char reason[CURL_ERROR_SIZE] = "";
  CURL* handle = curl.get();
  curl_easy_setopt(handle, CURLOPT_URL, server.url.c_str());
  curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
  curl_easy_setopt(handle, CURLOPT_PROXY, "");  // whatever the environment says
  curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, reason);
  curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, static_cast<long>(server.timeout.count()));
  curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(server.timeout.count()));
  // A password travels over TLS only.
  const bool logs_in = !server.user.empty();
  curl_easy_setopt(handle, CURLOPT_USE_SSL, static_cast<long>(logs_in ? CURLUSESSL_ALL : CURLUSESSL_TRY));
  if (logs_in) {
    curl_easy_setopt(handle, CURLOPT_USERNAME, server.user.c_str());
    curl_easy_setopt(handle, CURLOPT_PASSWORD, server.password.c_str());
  }
  curl_easy_setopt(handle, CURLOPT_MAIL_FROM, from.c_str());
  curl_easy_setopt(handle, CURLOPT_MAIL_RCPT, recipients.get());
  curl_easy_setopt(handle, CURLOPT_UPLOAD, 1L);
  curl_easy_setopt(handle, CURLOPT_READFUNCTION, read_upload);
  curl_easy_setopt(handle, CURLOPT_READDATA, &upload);
  const CURLcode result = curl_easy_perform(handle);
  if (result != CURLE_OK) throw std::runtime_error(reason[0] != '\0' ? reason : curl_easy_strerror(result));
}

}  // namespace hearth::net
