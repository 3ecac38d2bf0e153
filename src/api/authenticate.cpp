#include "api/authenticate.hpp"

#include <fmt/format.h>

#include "base/api_error.hpp"
#include "base/text.hpp"

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

contract::KeyKind kind_of(store::KeyKind kind) {
  switch (kind) {
    case store::KeyKind::project:
      return contract::KeyKind::project;
    case store::KeyKind::service_account:
      return contract::KeyKind::service_account;
    case store::KeyKind::admin:
      return contract::KeyKind::admin;
  }
  return contract::KeyKind::project;
}

void check_named_tenant(const contract::Principal& principal, const net::Headers& headers) {
  const std::string_view organization = headers.get("openai-organization");
  if (!organization.empty() && organization != principal.organization.str()) {
    throw ApiError::unauthenticated(
        "mismatched_organization",
        "The OpenAI-Organization header does not name the organization of this API key.");
  }
  const std::string_view project = headers.get("openai-project");
  if (!project.empty() && principal.project && project != principal.project->str()) {
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

Task<contract::Principal> authenticate(store::Keys& keys, const contract::Operation& operation,
                                       const net::Headers& headers) {
  const std::string_view secret = bearer_token(headers.get("authorization"));
  if (secret.empty()) {
    throw ApiError::unauthenticated(
        "",
        "You didn't provide an API key. Send it in an Authorization header with Bearer auth "
        "(i.e. Authorization: Bearer YOUR_KEY).");
  }
  auto record = co_await keys.find_by_secret(secret);
  if (!record) {
    const std::string shown = text::is_valid_utf8(secret) ? redact_key(secret) : "***";
    throw ApiError::unauthenticated("invalid_api_key", fmt::format("Incorrect API key provided: {}.", shown));
  }
  contract::Principal principal{record->id, kind_of(record->kind), record->organization, record->project};
  check_named_tenant(principal, headers);
  const bool is_admin = principal.kind == contract::KeyKind::admin;
  if (operation.auth == contract::Auth::admin_key && !is_admin) {
    throw ApiError(403, "invalid_request_error", "missing_scope",
                   "This operation needs an admin API key of the organization.");
  }
  if (operation.auth == contract::Auth::key && is_admin) {
    throw ApiError(403, "invalid_request_error", "missing_scope",
                   "An admin API key administers the organization; this operation needs a key of a project.");
  }
  co_return principal;
}

}  // namespace hearth::api
