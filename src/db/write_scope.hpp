// Which rows a write may touch. Writes whose scopes meet happen one after the other, whatever server makes
// them, so that each may look before it writes; on PostgreSQL others run beside each other.
//
// A row belongs to one scope, and a write touches rows of its own scope alone: then two servers never wait
// for each other's rows, and never for each other in a circle.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/id.hpp"

namespace hearth::db {

class WriteScope {
 public:
  // The rows of an organization.
  WriteScope(const OrganizationId& organization) : WriteScope("organization:", organization.str()) {}
  // Rows that belong to no organization, by what they are: "jobs".
  static WriteScope named(std::string_view name) { return {"name:", name}; }
  // All there is: the schema, and what the whole server shares (settings, models).
  static WriteScope everyone() { return {}; }

  // The rows of both.
  WriteScope& operator|=(const WriteScope& other) {
    if (is_everyone()) return *this;
    if (other.is_everyone()) return *this = other;
    keys_.insert(keys_.end(), other.keys_.begin(), other.keys_.end());
    std::ranges::sort(keys_);
    const auto repeated = std::ranges::unique(keys_);
    keys_.erase(repeated.begin(), repeated.end());
    return *this;
  }

  bool is_everyone() const { return keys_.empty(); }
  // Numbers that stand for its parts: sorted, each once, the same in every process.
  std::span<const std::int64_t> keys() const { return keys_; }

 private:
  WriteScope() = default;
  WriteScope(std::string_view kind, std::string_view name) : keys_{number_of(kind, name)} {}

  // FNV-1a. Two that are given the same number wait for each other without need, and nothing else happens.
  static std::int64_t number_of(std::string_view kind, std::string_view name) {
    std::uint64_t hash = 14'695'981'039'346'656'037U;
    for (const std::string_view part : {kind, name}) {
      for (const char character : part)
        hash = (hash ^ static_cast<unsigned char>(character)) * 1'099'511'628'211U;
    }
    return static_cast<std::int64_t>(hash);
  }

  std::vector<std::int64_t> keys_;  // empty: everyone
};

}  // namespace hearth::db
