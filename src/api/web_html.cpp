#include "api/web_html.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include "base/text.hpp"
#include "domain/passwords.hpp"
#include "store/roles.hpp"

namespace hearth::api::html {
namespace {

constexpr std::string_view sheet =
    "body{margin:0;background:#f4f3f0;color:#222;font:16px/1.5 system-ui,sans-serif}"
    "main{max-width:34rem;margin:6vh auto;padding:1.5rem;background:#fff;border:1px solid #ddd;"
    "border-radius:.5rem}"
    "h1{margin:0 0 1rem;font-size:1.4rem}h2{margin:2rem 0 .5rem;font-size:1.1rem}"
    "label{display:block;margin:.8rem 0 .2rem}"
    "input,select{box-sizing:border-box;width:100%;padding:.55rem;font:inherit;border:1px solid #999;"
    "border-radius:.3rem;background:#fff}"
    "button{margin-top:1rem;padding:.55rem 1.1rem;font:inherit;color:#fff;background:#a3350f;border:0;"
    "border-radius:.3rem;cursor:pointer}"
    "button.quiet{margin:0;padding:.2rem .6rem;color:#222;background:#e6e3dd}"
    "table{width:100%;border-collapse:collapse}td,th{padding:.4rem .3rem;text-align:left;"
    "border-top:1px solid #e3e3e3;overflow-wrap:anywhere;vertical-align:top}"
    ".fault{padding:.6rem;background:#fbe3dd;border-left:4px solid #a3350f}"
    ".done{padding:.6rem;background:#e3f1e3;border-left:4px solid #2f7a2f;overflow-wrap:anywhere}"
    ".small{color:#666;font-size:.9rem}code{font-size:.95em}"
    "@media(max-width:36rem){main{margin:0;border:0;border-radius:0}}";

std::string document(std::string_view title, std::string_view content) {
  return fmt::format(
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
      "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
      "<title>{0} · "
      "Hearth</title><style>{1}</style></head>\n<body><main><h1>{0}</h1>\n{2}</main></body></html>\n",
      escape(title), sheet, content);
}

std::string fault_box(std::string_view fault) {
  return fault.empty() ? std::string()
                       : fmt::format("<p class=\"fault\" role=\"alert\">{}</p>\n", escape(fault));
}

std::string hidden(std::string_view name, std::string_view value) {
  return fmt::format("<input type=\"hidden\" name=\"{}\" value=\"{}\">\n", escape(name), escape(value));
}

// `kind` is the input's attributes.
std::string input(std::string_view name, std::string_view label, std::string_view kind,
                  std::string_view value = {}) {
  return fmt::format(
      "<label for=\"{0}\">{1}</label><input id=\"{0}\" name=\"{0}\" value=\"{3}\" {2} required>\n", name,
      escape(label), kind, escape(value));
}

std::string new_password_inputs() {
  constexpr std::string_view kind = "type=\"password\" autocomplete=\"new-password\" maxlength=\"256\"";
  return input("password", fmt::format("Password, at least {} characters", domain::min_password_characters),
               kind) +
         input("password_again", "The same password again", kind);
}

std::string render_date(UnixSeconds at) {
  return fmt::format("{:%Y-%m-%d}", fmt::gmtime(static_cast<std::time_t>(at)));
}

std::string key_rows(const Account& shown) {
  std::string rows;
  for (const store::PersonalKey& key : shown.keys) {
    rows += fmt::format(
        "<tr><td>{}<br><code>{}</code><br><span class=\"small\">{}, created {}, {}</span></td><td>"
        "<form method=\"post\" action=\"/account/keys/delete\">{}{}<button "
        "class=\"quiet\">Revoke</button></form>"
        "</td></tr>\n",
        escape(key.name), escape(key.redacted_value), escape(key.project_name), render_date(key.created_at),
        key.last_used_at ? "used " + render_date(*key.last_used_at) : "never used",
        hidden("form_token", shown.form_token), hidden("key_id", key.id.str()));
  }
  return rows.empty() ? "<p>None yet.</p>\n" : fmt::format("<table>{}</table>\n", rows);
}

std::string new_key_form(const Account& shown) {
  if (shown.projects.empty())
    return "<p>You are not a member of any project: an owner of the organization can add you.</p>\n";
  std::string options;
  for (const store::PersonalProject& project : shown.projects)
    options +=
        fmt::format("<option value=\"{}\">{}</option>", escape(project.id.str()), escape(project.name));
  return fmt::format(
      "<form method=\"post\" action=\"/account/keys\">{}{}"
      "<label for=\"project_id\">Project</label><select id=\"project_id\" name=\"project_id\">{}</select>\n"
      "<button>Create a key</button></form>\n",
      hidden("form_token", shown.form_token), input("name", "Name of a new key", "maxlength=\"128\""),
      options);
}

}  // namespace

std::string escape(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

const std::string& style_hash() {
  static const std::string hash = [] {
    const std::string digits = text::sha256_hex(sheet);
    std::vector<std::byte> bytes;
    for (std::size_t i = 0; i < digits.size(); i += 2)
      bytes.push_back(static_cast<std::byte>(std::stoi(digits.substr(i, 2), nullptr, 16)));
    return text::encode_base64(bytes);
  }();
  return hash;
}

std::string login(std::string_view fault, std::string_view email) {
  return document(
      "Log in",
      fmt::format("{}<form method=\"post\" action=\"/login\">\n{}{}<button>Log in</button></form>\n",
                  fault_box(fault),
                  input("email", "Email address",
                        "type=\"email\" autocomplete=\"username\" maxlength=\"320\"", email),
                  input("password", "Password",
                        "type=\"password\" autocomplete=\"current-password\" maxlength=\"256\"")));
}

std::string accept_invite(std::string_view token, std::string_view email, std::string_view name,
                          std::string_view fault) {
  return document(
      "Welcome",
      fmt::format("<p>You were invited as <b>{}</b>. Enter your name and choose a password.</p>\n{}"
                  "<form method=\"post\" action=\"/invites/accept\">\n{}{}{}<button>Accept the "
                  "invitation</button></form>\n",
                  escape(email), fault_box(fault), hidden("token", token),
                  input("name", "Your name", "autocomplete=\"name\" maxlength=\"256\"", name),
                  new_password_inputs()));
}

std::string reset_password(std::string_view token, std::string_view email, std::string_view fault) {
  return document(
      "New password",
      fmt::format(
          "<p>For <b>{}</b>. All your sessions will end, and you will have to log in again.</p>\n{}"
          "<form method=\"post\" action=\"/password/reset\">\n{}{}<button>Set the password</button></form>\n",
          escape(email), fault_box(fault), hidden("token", token), new_password_inputs()));
}

std::string notice(std::string_view title, std::string_view text) {
  return document(title, fmt::format("<p>{}</p>\n", escape(text)));
}

std::string account(const Account& shown) {
  std::string projects;
  for (const store::PersonalProject& project : shown.projects) {
    projects += fmt::format("<tr><td>{}<br><code class=\"small\">{}</code></td><td>{}</td></tr>\n",
                            escape(project.name), escape(project.id.str()), store::role_name(project.role));
  }
  std::string done;
  if (!shown.message.empty())
    done = fmt::format("<p class=\"done\" role=\"status\">{}", escape(shown.message));
  if (!shown.secret.empty()) done += fmt::format("<br><code id=\"secret\">{}</code>", escape(shown.secret));
  if (!done.empty()) done += "</p>\n";
  return document(
      "Your account",
      fmt::format("{}{}<p>{}<br><span class=\"small\">{} · {} of the organization</span></p>\n"
                  "<h2>Projects</h2>\n<table>{}</table>\n<h2>Your API keys</h2>\n{}{}"
                  "<h2>Change the password</h2>\n<form method=\"post\" action=\"/account/password\">{}{}{}"
                  "<button>Change the password</button></form>\n"
                  "<h2>Log out</h2>\n<form method=\"post\" action=\"/logout\">{}<button class=\"quiet\">Log "
                  "out</button></form>\n",
                  fault_box(shown.fault), done, escape(shown.user.name), escape(shown.user.email),
                  store::role_name(shown.user.role), projects, key_rows(shown), new_key_form(shown),
                  hidden("form_token", shown.form_token),
                  input("current_password", "Current password",
                        "type=\"password\" autocomplete=\"current-password\" maxlength=\"256\""),
                  new_password_inputs(), hidden("form_token", shown.form_token)));
}

}  // namespace hearth::api::html
