#include "api/refusals.hpp"

#include <array>
#include <utility>

#include <fmt/format.h>

namespace hearth::api {
namespace {

using store::Rule;

struct Wording {
  Rule rule;
  std::string_view code;     // empty: what is named does not exist, 404
  std::string_view message;  // "{}" stands for the subject
  std::string_view param;    // empty: none; one of several is in the list of that name, "thing_ids[2]"
};

constexpr std::array wordings{
    Wording{Rule::project_exists, "", "No project with the id '{}' was found.", "project_id"},
    Wording{Rule::project_is_active, "project_archived",
            "The project '{}' is archived; it cannot be used or changed any more.", "project_id"},
    Wording{Rule::user_exists, "", "No user with the id '{}' was found.", "user_id"},
    Wording{Rule::member_exists, "", "No user with the id '{}' was found in the project.", "user_id"},
    Wording{Rule::member_is_new, "already_member", "The user is a member of the project already.", "user_id"},
    Wording{Rule::certificate_exists, "", "No certificate with the id '{}' exists.", "certificate_id"},
    Wording{Rule::certificate_is_new, "certificate_exists",
            "The organization has this certificate already: '{}'.", "content"},
    Wording{Rule::certificates_have_room, "too_many_certificates",
            "The organization has {} certificates, as many as it may: delete one first.", ""},
    Wording{Rule::certificate_is_inactive, "certificate_active",
            "The certificate is active for the organization: deactivate it first.", "certificate_id"},
    Wording{Rule::certificate_is_inactive_in_the_project, "certificate_active",
            "The certificate is active for the project '{}': deactivate it first.", "certificate_id"},
    Wording{Rule::completion_exists, "", "No stored chat completion found with the id '{}'.",
            "completion_id"},
};

const Wording& wording_of(Rule rule) {
  for (const Wording& wording : wordings) {
    if (wording.rule == rule) return wording;
  }
  std::unreachable();
}

}  // namespace

ApiError error_of(const store::Refusal& refusal, std::optional<std::string> param) {
  const Wording& wording = wording_of(refusal.rule);
  std::string message = fmt::format(fmt::runtime(wording.message), refusal.subject);
  if (wording.param.empty()) {
    param.reset();
  } else if (refusal.position) {
    param = fmt::format("{}s[{}]", wording.param, *refusal.position);
  } else if (!param) {
    param = wording.param;
  }
  return wording.code.empty() ? ApiError::not_found(std::move(message), std::move(param))
                              : ApiError::invalid_request(wording.code, std::move(message), std::move(param));
}

}  // namespace hearth::api
