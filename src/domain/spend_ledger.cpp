#include "domain/spend_ledger.hpp"

namespace hearth::domain {

// A new month lets go of what is settled.
SpendLedger::Entry& SpendLedger::entry(const ProjectId& project, UnixSeconds month) {
  if (months_.empty() || month > months_.rbegin()->first) {
    for (auto& [earlier, projects] : months_) {
      std::erase_if(projects,
                    [](const auto& each) { return each.second.pending == 0 && !each.second.writing; });
    }
    std::erase_if(months_, [](const auto& each) { return each.second.empty(); });
  }
  return months_[month][project];
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

void SpendLedger::written(const ProjectId& project, UnixSeconds month, Money amount, Money total, Look look) {
  std::lock_guard lock(mutex_);
  Entry& one = entry(project, month);
  one.writing = false;
  one.pending -= amount;
  one.stored = total;
  one.look = look;
}

std::optional<SpendLedger::Spent> SpendLedger::spent(const ProjectId& project, UnixSeconds month) const {
  std::lock_guard lock(mutex_);
  const auto projects = months_.find(month);
  if (projects == months_.end()) return std::nullopt;
  const auto found = projects->second.find(project);
  if (found == projects->second.end() || !found->second.stored) return std::nullopt;
  return Spent{*found->second.stored + found->second.pending, found->second.look};
}

std::uint64_t SpendLedger::begin_reading(const ProjectId& project, UnixSeconds month) {
  std::lock_guard lock(mutex_);
  const Entry& one = entry(project, month);
  return one.writing ? 0 : one.writes + 1;
}

bool SpendLedger::read(const ProjectId& project, UnixSeconds month, std::uint64_t ticket, Money total,
                       Look look) {
  std::lock_guard lock(mutex_);
  Entry& one = entry(project, month);
  if (ticket == 0 || one.writing || one.writes + 1 != ticket) return false;
  one.stored = total;
  one.look = look;
  return true;
}

}  // namespace hearth::domain
