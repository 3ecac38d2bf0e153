#include "api/authenticate.hpp"

#include <fmt/format.h>

#include "base/api_error.hpp"
#include "base/text.hpp"
#include "contract/fields.hpp"

namespace hearth::api {
namespace {

std::string_view bearer_token(std::string_view authorization) {
  const auto space = authorization.find(' ');
  if (space == std::string_view::npos ||
      !text::equals_ignore_case(authorization.substr(0, space), "bearer")) {
    return {};
  }
  std::string_view token = authorization.substr(space + 1);
  while (token.starts_with(' '))
    token.remove_prefix(1);
  while (token.ends_with(' '))
    token.remove_suffix(1);
  return token;
}

void check_named_tenant(const contract::Principal& principal, const Credentials& named) {
  if (!named.organization.empty() && named.organization != principal.organization.str()) {
    throw ApiError::unauthenticated(
        "mismatched_organization",
        "The OpenAI-Organization header does not name the organization of this API key.");
  }
  if (!named.project.empty() && principal.project && named.project != principal.project->str()) {
    throw ApiError::unauthenticated("mismatched_project",
                                    "The OpenAI-Project header does not name the project of this API key.");
  }
}

}  // namespace

std::string redact_key(std::string_view secret) {
  if (secret.size() < 16) return "***";
  const auto prefix_end = secret.find_last_of('-', secret.size() - 8);
  const auto shown = prefix_end == std::string_view::npos || prefix_end > 12 ? 3 : prefix_end + 1;
  return fmt::format("{}***{}", text::truncate_utf8(secret, shown), secret.substr(secret.size() - 4));
}

Credentials credentials_of(const net::Headers& headers) {
  return {.key = bearer_token(headers.get("authorization")),
          .organization = headers.get("openai-organization"),
          .project = headers.get("openai-project")};
}

Credentials credentials_of(const net::Headers& headers, const net::SocketOffer& offer) {
  Credentials credentials = credentials_of(headers);
  const auto complete = [](std::string_view& value, std::string_view offered, std::string_view prefix) {
    if (value.empty() && offered.starts_with(prefix)) value = offered.substr(prefix.size());
  };
  for (const std::string_view offered : offer.subprotocols) {
    complete(credentials.key, offered, "openai-insecure-api-key.");
    complete(credentials.organization, offered, "openai-organization.");
    complete(credentials.project, offered, "openai-project.");
  }
  return credentials;
}

Task<std::shared_ptr<const contract::Principal>> authenticate(store::Keys& keys, Credentials credentials,
                                                              std::uint64_t epoch) {
  const std::string_view secret = credentials.key;
  if (secret.empty()) {
    throw ApiError::unauthenticated(
        "",
        "You didn't provide an API key. Send it in an Authorization header with Bearer auth "
        "(i.e. Authorization: Bearer YOUR_KEY).");
  }
  auto principal = co_await keys.find_by_secret(secret, epoch);
  if (!principal) {
    const std::string shown = text::is_valid_utf8(secret) ? redact_key(secret) : "***";
    throw ApiError::unauthenticated("invalid_api_key", fmt::format("Incorrect API key provided: {}.", shown));
  }
  check_named_tenant(*principal, credentials);
  co_return principal;
}

namespace {

void check_kind(const contract::Operation& operation, const contract::Principal& principal) {
  using contract::Auth;
  using contract::KeyKind;
  const auto refuse = [](std::string message) {
    throw ApiError(403, "invalid_request_error", "missing_scope", std::move(message));
  };
  const bool is_admin = principal.kind == KeyKind::admin;
  if (operation.auth == Auth::admin_key && !is_admin)
    refuse("This operation needs an admin API key of the organization.");
  if (operation.auth != Auth::admin_key && is_admin)
    refuse("An admin API key administers the organization; this operation needs a key of a project.");
  if (operation.auth == Auth::key && principal.kind == KeyKind::ephemeral)
    refuse("An ephemeral key serves the realtime API only; this operation needs a key of a project.");
}

bool is_project_role(const contract::Principal& principal, std::string_view project,
                     std::optional<contract::ProjectRole> needed) {
  const auto found = principal.owner.projects.find(ProjectId(std::string(project)));
  return found != principal.owner.projects.end() && (!needed || found->second == *needed);
}

}  // namespace

void authorize(const contract::Operation& operation, const contract::Principal& principal,
               const json::object& path) {
  using contract::ProjectRole;
  using contract::Role;
  check_kind(operation, principal);
  if (principal.owner.role == contract::OrganizationRole::owner) return;
  // An operation on a project names it in its path, or works in the key's own.
  const auto named = json::find_string(path, contract::field::project_id);
  const std::string_view project = named               ? *named
                                   : principal.project ? std::string_view(principal.project->str())
                                                       : std::string_view();
  const bool reads = principal.owner.role == contract::OrganizationRole::reader;
  switch (operation.role) {
    case Role::member:
      return;
    case Role::reader:
      if (reads) return;
      break;
    case Role::owner:
      if (operation.auth == contract::Auth::key && is_project_role(principal, project, ProjectRole::owner))
        return;
      break;
    case Role::project_member:
      if (is_project_role(principal, project, std::nullopt)) return;
      break;
    case Role::project_owner:
      if (is_project_role(principal, project, ProjectRole::owner)) return;
      break;
  }
  throw ApiError(
      403, "invalid_request_error", "insufficient_permissions",
      "You have insufficient permissions for this operation: the role of the key's owner does not allow it.");
}

}  // namespace hearth::api
