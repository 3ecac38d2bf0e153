// The few pages for people, as HTML without scripts.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "store/personal_keys.hpp"
#include "store/users.hpp"

namespace hearth::api::html {

// As text or as the value of an attribute in double quotes.
std::string escape(std::string_view text);

// The digest of the style sheet of all pages, in base64, as Content-Security-Policy names it.
const std::string& style_hash();

// Each returns a whole document. `fault` is what was wrong with the form before; empty: nothing.
std::string login(std::string_view fault, std::string_view email);
std::string accept_invite(std::string_view token, std::string_view email, std::string_view name,
                          std::string_view fault);
std::string reset_password(std::string_view token, std::string_view email, std::string_view fault);
// Something went wrong, or there is nothing more to do.
std::string notice(std::string_view title, std::string_view text);

struct Account {
  const store::User& user;
  const std::vector<store::PersonalProject>& projects;
  const std::vector<store::PersonalKey>& keys;
  std::string_view form_token;  // proves that a form came from this page
  std::string_view secret;      // of a key that was just made
  std::string_view message;     // what was just done
  std::string_view fault;
};
std::string account(const Account& shown);

}  // namespace hearth::api::html
