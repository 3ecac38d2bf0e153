// The pages for people: log in, accept an invitation, choose a new password, see one's account and make keys.
//
// They are no operations of the API: no key opens them but a session's cookie, and they answer HTML. Without
// scripts, frames and anything from elsewhere. A form is taken only when the browser says that a page of this
// server sent it; one that acts for a session also carries a token made of the session's.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "api/services.hpp"
#include "api/web_form.hpp"
#include "domain/logins.hpp"
#include "net/http.hpp"

namespace hearth::api {

struct WebReply {
  int status = 200;
  std::string html;
  net::Headers headers;
};

// Thread: one answer() per request, on its session's executor.
class Web {
 public:
  // `public_url`: as configured; empty where it is not.
  Web(Services& services, std::string public_url) : services_(services), public_url_(std::move(public_url)) {}

  static bool serves(std::string_view path);
  // Never throws for what the browser did: faults are pages too. ConnectionLost passes through.
  Task<WebReply> answer(const net::RequestHead& head, net::BodyReader& body);

 private:
  struct Visit;

  Task<WebReply> dispatch(const net::RequestHead& head, net::BodyReader& body);
  Task<WebReply> show(Visit& visit);
  Task<WebReply> take(Visit& visit);
  Task<WebReply> log_in(Visit& visit);
  Task<WebReply> log_out(Visit& visit);
  Task<WebReply> accept_invite(Visit& visit);
  Task<WebReply> show_invite(Visit& visit, std::string token, std::string fault, int status);
  Task<WebReply> reset_password(Visit& visit);
  Task<WebReply> show_reset(std::string token, std::string fault, int status);
  Task<WebReply> change_password(Visit& visit);
  Task<WebReply> create_key(Visit& visit);
  Task<WebReply> delete_key(Visit& visit);
  struct Shown {
    std::string secret;
    std::string message;
    std::string fault;
    int status = 200;
  };
  Task<WebReply> show_account(const Visit& visit, Shown shown);
  WebReply let_in(const Visit& visit, std::string_view token, std::string_view to) const;
  std::string cookie(const Visit& visit, std::string_view token, std::int64_t seconds) const;

  Services& services_;
  std::string public_url_;
};

}  // namespace hearth::api
