#include "api/web.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "api/requester.hpp"
#include "api/web_html.hpp"
#include "base/api_error.hpp"
#include "base/log.hpp"
#include "base/text.hpp"

namespace hearth::api {
namespace {

constexpr std::size_t max_form = 16 * 1024;
constexpr std::size_t max_name = 256;
constexpr std::size_t max_key_name = 128;
constexpr std::string_view cookie_name = "hearth_session";
constexpr std::string_view form_type = "application/x-www-form-urlencoded";

struct Page {
  std::string_view path;
  std::string_view methods;
};
constexpr std::array pages{
    Page{"/login", "GET, HEAD, POST"},
    Page{"/logout", "POST"},
    Page{"/invites/accept", "GET, HEAD, POST"},
    Page{"/password/reset", "GET, HEAD, POST"},
    Page{"/account", "GET, HEAD"},
    Page{"/account/password", "POST"},
    Page{"/account/keys", "POST"},
    Page{"/account/keys/delete", "POST"},
};

constexpr std::string_view dead_link_title = "This link does not work";
constexpr std::string_view dead_link =
    "It was used before, it has expired, or it is incomplete. Ask the person who sent it for another one.";
constexpr std::string_view foreign_form =
    "The form did not come from a page of this server, or the page was open for too long. Go back, load the "
    "page again and repeat it.";

WebReply page_reply(int status, std::string html) {
  return {.status = status, .html = std::move(html), .headers = {}};
}

WebReply notice(int status, std::string_view title, std::string_view text) {
  return page_reply(status, html::notice(title, text));
}

WebReply see_other(std::string_view to) {
  WebReply reply = page_reply(303, "");
  reply.headers.add("location", std::string(to));
  return reply;
}

// Known to the session's pages alone: the cookie is HttpOnly and this says nothing about it.
std::string form_token_of(std::string_view session_token) {
  return text::sha256_hex(fmt::format("form\n{}", session_token));
}

bool is_plain_text(std::string_view text) {
  return std::ranges::none_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
}

std::string trimmed(std::string_view text) {
  while (text.starts_with(' '))
    text.remove_prefix(1);
  while (text.ends_with(' '))
    text.remove_suffix(1);
  return std::string(text);
}

std::optional<std::string> find_name_fault(std::string_view name, std::size_t longest) {
  if (name.empty()) return "The name is missing.";
  if (name.size() > longest) return fmt::format("The name is too long: at most {} bytes.", longest);
  if (!is_plain_text(name)) return "The name must be one line of text.";
  return std::nullopt;
}

std::optional<std::string> find_new_password_fault(const WebForm& form) {
  const std::string password = form.get("password");
  if (auto fault = domain::find_password_fault(password)) return fault;
  if (password != form.get("password_again")) return "The two passwords differ.";
  return std::nullopt;
}

std::string wait_text(std::chrono::seconds wait) {
  const auto minutes = std::chrono::ceil<std::chrono::minutes>(wait).count();
  return fmt::format("Too many attempts. Try again in {} minute{}.", minutes, minutes == 1 ? "" : "s");
}

}  // namespace

// One request.
struct Web::Visit {
  const net::RequestHead& head;
  domain::Visitor visitor;
  WebForm form;                           // of the body, or of the query where there is none
  std::string token;                      // of the session's cookie
  std::optional<store::Session> session;  // where that is one
};

bool Web::serves(std::string_view path) {
  return std::ranges::find(pages, path, &Page::path) != pages.end();
}

Task<WebReply> Web::answer(const net::RequestHead& head, net::BodyReader& body) {
  WebReply reply;
  try {
    reply = co_await dispatch(head, body);
  } catch (const ApiError& error) {
    reply = notice(error.status(), "The request failed", error.message());
    if (error.retry_after()) reply.headers.add("retry-after", "10");
  }
  net::Headers& headers = reply.headers;
  headers.add("cache-control", "no-store");
  headers.add("content-security-policy",
              fmt::format("default-src 'none'; style-src 'sha256-{}'; form-action 'self'; frame-ancestors "
                          "'none'; base-uri 'none'",
                          html::style_hash()));
  headers.add("x-frame-options", "DENY");
  headers.add("x-content-type-options", "nosniff");
  headers.add("cross-origin-opener-policy", "same-origin");
  headers.add("referrer-policy", "same-origin");
  co_return reply;
}

Task<WebReply> Web::dispatch(const net::RequestHead& head, net::BodyReader& body) {
  const Page& page = *std::ranges::find(pages, head.path(), &Page::path);
  const bool shows = head.method == "GET" || head.method == "HEAD";
  if (page.methods.find(head.method) == std::string_view::npos || (!shows && head.method != "POST")) {
    WebReply reply = notice(405, "Wrong method", "This address does not accept this kind of request.");
    reply.headers.add("allow", std::string(page.methods));
    co_return reply;
  }
  const store::Actor origin = visitor_actor(head.remote_address, head.headers.get("user-agent"));
  Visit visit{head, {origin.address, origin.user_agent}, {}, read_cookie(head.headers, cookie_name), {}};
  std::string encoded;
  if (shows) {
    encoded = head.query();
  } else {
    if (!is_same_origin(head.headers, public_url_)) co_return notice(403, "Form not accepted", foreign_form);
    std::string_view type = head.headers.get("content-type");
    type = type.substr(0, type.find(';'));
    if (!text::equals_ignore_case(type, form_type))
      co_return notice(415, "Not a form", "Only forms are accepted here.");
    encoded = co_await body.read_all(max_form);
  }
  auto form = WebForm::parse(encoded);
  if (!form) co_return notice(400, "Not readable", "The request is not readable text.");
  visit.form = std::move(*form);
  if (!visit.token.empty()) visit.session = co_await services_.identity.logins.find_session(visit.token);
  co_return shows ? co_await show(visit) : co_await take(visit);
}

Task<WebReply> Web::show(Visit& visit) {
  const std::string_view path = visit.head.path();
  if (path == "/invites/accept") co_return co_await show_invite(visit, visit.form.get("token"), "", 200);
  if (path == "/password/reset") co_return co_await show_reset(visit.form.get("token"), "", 200);
  if (path == "/login") {
    if (visit.session) co_return see_other("/account");
    co_return page_reply(200, html::login("", ""));
  }
  if (!visit.session) co_return see_other("/login");
  co_return co_await show_account(visit, {});
}

Task<WebReply> Web::take(Visit& visit) {
  const std::string_view path = visit.head.path();
  if (path == "/login") co_return co_await log_in(visit);
  if (path == "/invites/accept") co_return co_await accept_invite(visit);
  if (path == "/password/reset") co_return co_await reset_password(visit);
  // The rest acts for the session.
  if (!visit.session) co_return see_other("/login");
  if (visit.form.get("form_token") != form_token_of(visit.token))
    co_return notice(403, "Form not accepted", foreign_form);
  if (path == "/logout") co_return co_await log_out(visit);
  if (path == "/account/password") co_return co_await change_password(visit);
  if (path == "/account/keys") co_return co_await create_key(visit);
  co_return co_await delete_key(visit);
}

Task<WebReply> Web::log_in(Visit& visit) {
  const std::string email = trimmed(visit.form.get("email"));
  std::string password = visit.form.get("password");
  if (email.empty() || password.empty() || password.size() > domain::max_password_bytes)
    co_return page_reply(401, html::login("The email address or the password is wrong.", email));
  const auto outcome = co_await services_.identity.logins.log_in(email, std::move(password), visit.visitor);
  if (const auto* in = std::get_if<domain::LoggedIn>(&outcome))
    co_return let_in(visit, in->token, "/account");
  if (const auto* throttled = std::get_if<domain::LoginThrottled>(&outcome)) {
    WebReply reply = page_reply(429, html::login(wait_text(throttled->wait), email));
    reply.headers.add("retry-after", fmt::format("{}", throttled->wait.count()));
    co_return reply;
  }
  co_return page_reply(401, html::login("The email address or the password is wrong.", email));
}

Task<WebReply> Web::log_out(Visit& visit) {
  co_await services_.identity.logins.log_out(visit.session->user, visit.token, visit.visitor);
  WebReply reply = see_other("/login");
  reply.headers.add("set-cookie", cookie(visit, "", 0));
  co_return reply;
}

Task<WebReply> Web::show_invite(Visit& visit, std::string token, std::string fault, int status) {
  const auto invite = co_await services_.organization.invites.find_by_token(token);
  if (!invite) co_return notice(404, dead_link_title, dead_link);
  const std::string name = trimmed(visit.form.get("name"));
  co_return page_reply(status, html::accept_invite(token, invite->email, name, fault));
}

Task<WebReply> Web::accept_invite(Visit& visit) {
  std::string token = visit.form.get("token");
  std::string name = trimmed(visit.form.get("name"));
  auto fault = find_name_fault(name, max_name);
  if (!fault) fault = find_new_password_fault(visit.form);
  if (fault) co_return co_await show_invite(visit, std::move(token), std::move(*fault), 400);
  const auto in = co_await services_.identity.logins.accept_invite(std::move(token), std::move(name),
                                                                   visit.form.get("password"), visit.visitor);
  if (!in) co_return notice(404, dead_link_title, dead_link);
  co_return let_in(visit, in->token, "/account");
}

Task<WebReply> Web::show_reset(std::string token, std::string fault, int status) {
  const auto user = co_await services_.identity.logins.find_reset(token);
  if (!user) co_return notice(404, dead_link_title, dead_link);
  co_return page_reply(status, html::reset_password(token, user->email, fault));
}

Task<WebReply> Web::reset_password(Visit& visit) {
  std::string token = visit.form.get("token");
  if (auto fault = find_new_password_fault(visit.form))
    co_return co_await show_reset(std::move(token), std::move(*fault), 400);
  const bool done = co_await services_.identity.logins.reset_password(
      std::move(token), visit.form.get("password"), visit.visitor);
  if (!done) co_return notice(404, dead_link_title, dead_link);
  co_return see_other("/login");
}

Task<WebReply> Web::change_password(Visit& visit) {
  if (auto fault = find_new_password_fault(visit.form))
    co_return co_await show_account(visit, {.fault = std::move(*fault), .status = 400});
  const auto outcome = co_await services_.identity.logins.change_password(
      visit.session->user, visit.form.get("current_password"), visit.form.get("password"), visit.visitor);
  if (const auto* in = std::get_if<domain::LoggedIn>(&outcome))
    co_return let_in(visit, in->token, "/account");
  if (const auto* throttled = std::get_if<domain::LoginThrottled>(&outcome))
    co_return co_await show_account(visit, {.fault = wait_text(throttled->wait), .status = 429});
  co_return co_await show_account(visit, {.fault = "The current password is wrong.", .status = 403});
}

Task<WebReply> Web::create_key(Visit& visit) {
  std::string name = trimmed(visit.form.get("name"));
  if (auto fault = find_name_fault(name, max_key_name))
    co_return co_await show_account(visit, {.fault = std::move(*fault), .status = 400});
  const auto key = co_await services_.identity.personal_keys.create(
      store::session_actor(visit.session->user, visit.visitor.address, visit.visitor.user_agent),
      ProjectId(visit.form.get("project_id")), std::move(name));
  if (!key)
    co_return co_await show_account(visit,
                                    {.fault = "You are not a member of such a project.", .status = 404});
  co_return co_await show_account(
      visit,
      {.secret = key->secret, .message = "Your new key. Keep it in a safe place: it is shown only once."});
}

Task<WebReply> Web::delete_key(Visit& visit) {
  const bool done = co_await services_.identity.personal_keys.revoke(
      store::session_actor(visit.session->user, visit.visitor.address, visit.visitor.user_agent),
      KeyId(visit.form.get("key_id")));
  if (!done) co_return co_await show_account(visit, {.fault = "You have no such key.", .status = 404});
  co_return see_other("/account");
}

Task<WebReply> Web::show_account(const Visit& visit, Shown shown) {
  const store::User& user = visit.session->user;
  const auto projects = co_await services_.identity.personal_keys.projects(user);
  const auto keys = co_await services_.identity.personal_keys.keys(user);
  const std::string form_token = form_token_of(visit.token);
  co_return page_reply(shown.status, html::account({.user = user,
                                                    .projects = projects,
                                                    .keys = keys,
                                                    .form_token = form_token,
                                                    .secret = shown.secret,
                                                    .message = shown.message,
                                                    .fault = shown.fault}));
}

WebReply Web::let_in(const Visit& visit, std::string_view token, std::string_view to) const {
  WebReply reply = see_other(to);
  reply.headers.add("set-cookie", cookie(visit, token, services_.identity.logins.session_lifetime().count()));
  return reply;
}

std::string Web::cookie(const Visit& visit, std::string_view token, std::int64_t seconds) const {
  const bool secure = visit.head.secure || public_url_.starts_with("https://");
  return fmt::format("{}={}; Path=/; HttpOnly; SameSite=Lax; Max-Age={}{}", cookie_name, token, seconds,
                     secure ? "; Secure" : "");
}

}  // namespace hearth::api
