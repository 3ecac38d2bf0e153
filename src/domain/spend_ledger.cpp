#include "domain/spend_ledger.hpp"

namespace hearth::domain {

// A new month lets go of what is settled.
SpendLedger::Entry& SpendLedger::entry(const ProjectId& project, UnixSeconds month) {
  if (month > latest_month_) {
    latest_month_ = month;
    std::erase_if(entries_, [month](const auto& each) {
      return each.first.second < month && each.second.pending == 0 && !each.second.writing;
    });
  }
  return entries_[{project, month}];
}

void SpendLedger::added(const ProjectId& project, UnixSeconds month, Money amount) {
  std::lock_guard lock(mutex_);
  entry(project, month).pending += amount;
}

void SpendLedger::writing(const ProjectId& project, UnixSeconds month) {
  std::lock_guard lock(mutex_);
  Entry& one = entry(project, month);
  one.writing = true;
  ++one.writes;
}

void SpendLedger::written(const ProjectId& project, UnixSeconds month, Money amount, Money total) {
  std::lock_guard lock(mutex_);
  Entry& one = entry(project, month);
  one.writing = false;
  one.pending -= amount;
  one.stored = total;
}

std::optional<Money> SpendLedger::spent(const ProjectId& project, UnixSeconds month) const {
  std::lock_guard lock(mutex_);
  const auto found = entries_.find({project, month});
  if (found == entries_.end() || !found->second.stored) return std::nullopt;
  return *found->second.stored + found->second.pending;
}

std::uint64_t SpendLedger::begin_reading(const ProjectId& project, UnixSeconds month) {
  std::lock_guard lock(mutex_);
  const Entry& one = entry(project, month);
  return one.writing ? 0 : one.writes + 1;
}

bool SpendLedger::read(const ProjectId& project, UnixSeconds month, std::uint64_t ticket, Money total) {
  std::lock_guard lock(mutex_);
  Entry& one = entry(project, month);
  if (ticket == 0 || one.writing || one.writes + 1 != ticket) return false;
  one.stored = total;
  return true;
}

}  // namespace hearth::domain
