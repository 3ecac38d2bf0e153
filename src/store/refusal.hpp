// Why a store did not do what it was asked for: a rule of the resource does not hold. Stores say which one,
// and of what; api/refusals words it.
#pragma once

#include <cstddef>
#include <exception>
#include <expected>
#include <optional>
#include <string>
#include <utility>

namespace hearth::store {

// What must hold. The subject of a refusal is an id, where none is named here.
enum class Rule {
  project_exists,
  project_is_active,
  user_exists,
  member_exists,
  member_is_new,
  certificate_exists,
  certificate_is_new,                      // subject: the certificate that is the same
  certificates_have_room,                  // subject: how many there may be
  certificate_is_inactive,                 // in the organization
  certificate_is_inactive_in_the_project,  // subject: the project
  completion_exists,
};

struct Refusal {
  Rule rule;
  std::string subject;
  std::optional<std::size_t> position;  // of the subject, where several were given
};

// What a store returns where rules can forbid it.
template <class T>
using Outcome = std::expected<T, Refusal>;

// Thrown within a transaction, which it undoes. It never leaves the stores: settle() makes it
// what they return.
class Refused : public std::exception {
 public:
  explicit Refused(Refusal refusal) : refusal_(std::move(refusal)) {}
  const Refusal& refusal() const { return refusal_; }
  const char* what() const noexcept override { return "a rule of the resource does not hold"; }

 private:
  Refusal refusal_;
};

[[noreturn]] inline void refuse(Rule rule, std::string subject,
                                std::optional<std::size_t> position = std::nullopt) {
  throw Refused({rule, std::move(subject), position});
}

}  // namespace hearth::store
