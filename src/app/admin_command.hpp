// `hearth admin`: people, keys and whoever is locked out, on the store itself.
//
// Works with or without a server beside it; a running server notices at once. Everything blocks. Results go
// to standard output (secrets and links once), progress to standard error; failures are thrown as
// std::exception with one line for the terminal. Every change is in the audit log, as a session from no
// address with the user agent "hearth admin": of the user that it is about where it is about one, of nobody
// otherwise.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "app/config.hpp"

namespace hearth::app {

// Where a new password comes from.
enum class PasswordSource {
  prompt,          // asked twice at the terminal, without echo; a link where there is no terminal
  standard_input,  // its first line
  link,            // the person chooses it: a one-time link is printed
};

struct AdminRequest {
  std::string email;
  std::string name;
  std::string role = "reader";
  std::vector<std::string> projects;  // "ID" or "ID:role"
  PasswordSource password = PasswordSource::prompt;
};

void create_owner(const Config& config, const AdminRequest& request);
void add_user(const Config& config, const AdminRequest& request);
void print_invite_link(const Config& config, const std::string& email);
void accept_invite(const Config& config, const AdminRequest& request);
void reset_password(const Config& config, const AdminRequest& request);

// `project` empty: an admin key. `email` empty: for a service account, the first start's for an admin key, a
// new one for a project's.
void mint_key(const Config& config, const std::string& project, const std::string& name,
              const std::string& email);

// "none" or an amount a month, in the installation's currency; "default" follows the configuration again.
void set_budget(const Config& config, const std::string& project, const std::string& amount);
void deactivate_certificates(const Config& config);

void list_users(const Config& config);
void list_projects(const Config& config);
void list_keys(const Config& config);

}  // namespace hearth::app
