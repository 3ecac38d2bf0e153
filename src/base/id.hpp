// Strong ids, and the source of new ones.
//
// An id is the API's prefix and 30 letters and digits: 9 of milliseconds since the epoch, so that ids sort by
// creation, and 21 random ones (125 bits).
#pragma once

#include <compare>
#include <functional>
#include <string>
#include <string_view>

#include "base/clock.hpp"

namespace hearth {

template <class Tag>
class Id {
 public:
  Id() = default;
  explicit Id(std::string value) : value_(std::move(value)) {}
  const std::string& str() const { return value_; }
  bool empty() const { return value_.empty(); }
  auto operator<=>(const Id&) const = default;

 private:
  std::string value_;
};

using OrganizationId = Id<struct OrganizationTag>;
using ProjectId = Id<struct ProjectTag>;
using UserId = Id<struct UserTag>;
using ServiceAccountId = Id<struct ServiceAccountTag>;
using InviteId = Id<struct InviteTag>;
using CertificateId = Id<struct CertificateTag>;
using AuditLogId = Id<struct AuditLogTag>;
using KeyId = Id<struct KeyTag>;
using CompletionId = Id<struct CompletionTag>;
using ModelId = Id<struct ModelTag>;
using RequestId = Id<struct RequestTag>;
using BlobId = Id<struct BlobTag>;

// Thread: any.
class IdSource {
 public:
  explicit IdSource(const Clock& clock) : clock_(clock) {}
  virtual ~IdSource() = default;
  // `prefix` with its separator, as the API writes it: "chatcmpl-", "proj_".
  virtual std::string make(std::string_view prefix);
  // `length` random letters and digits from the system's generator: keys and other secrets.
  virtual std::string secret(std::size_t length);

 private:
  const Clock& clock_;
};

}  // namespace hearth

template <class Tag>
struct std::hash<hearth::Id<Tag>> {
  std::size_t operator()(const hearth::Id<Tag>& id) const noexcept {
    return std::hash<std::string>{}(id.str());
  }
};
