// Finds the places of audit events that a filter asks for, without going through all of them.
#pragma once

#include <compare>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "db/connection.hpp"
#include "store/audit_logs.hpp"

namespace hearth::store {

// Where an event stands in its organization's log.
struct AuditPlace {
  UnixSeconds at = 0;
  std::int64_t sequence = 0;
  auto operator<=>(const AuditPlace&) const = default;
};

// Neither bound belongs to it.
struct AuditSpan {
  AuditPlace low;
  AuditPlace high;
};

// Each list of the filter has an index that ends in (effective_at, sequence), and so have the usual pairs of
// lists. One of these leads: the index ranges of its values are read from the near end and merged, and the
// lists that it does not cover are checked row by row. Where lists are left over, the leader is the one with
// the fewest events, counted up to a bound, so that choosing stays cheap. Thread: a database thread.
class AuditLogSearch {
 public:
  AuditLogSearch(db::Connection& connection, const OrganizationId& organization,
                 const AuditLogFilter& filter);

  // The first `limit` places in `span` in that order.
  std::vector<AuditPlace> find(const AuditSpan& span, Order order, std::size_t limit);

 private:
  struct List {
    std::string_view column;
    const std::vector<std::string>* values;
  };
  // The lists that an index covers together, one or two; none for the order of the log itself.
  using Leader = std::vector<const List*>;
  using Values = std::vector<std::string_view>;  // one for each list of the leader

  static bool is_resources(const Leader& leader);
  std::vector<Leader> leaders() const;
  Leader choose(const AuditSpan& span);
  std::size_t count(const Leader& leader, const AuditSpan& span, std::size_t bound);
  std::size_t count(const Leader& leader, const Values& values, const AuditSpan& span, std::size_t bound);
  std::vector<AuditPlace> read(const Leader& leader, const Values& values, const AuditSpan& span, Order order,
                               std::size_t limit);

  db::Connection& connection_;
  const OrganizationId& organization_;
  std::vector<List> lists_;  // those asked for
};

}  // namespace hearth::store
