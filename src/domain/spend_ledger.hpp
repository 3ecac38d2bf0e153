// What projects have spent this month, to the last request: what is written, as far as it is known, and what
// this process has yet to write.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <unordered_map>

#include "base/clock.hpp"
#include "base/id.hpp"
#include "base/money.hpp"

namespace hearth::domain {

// Every amount goes through added() and then, in a write, through writing() and written(). A write that fails
// goes on until a later try of it succeeds: nobody knows what is on the disk until then. Thread: any; never
// waits.
class SpendLedger {
 public:
  void added(const ProjectId& project, UnixSeconds month, Money amount);

  // How old the amounts of others are: they were looked at no earlier than this.
  struct Look {
    std::uint64_t token = 0;  // the database's change token; 0: not known
    SteadyTime at{};
  };
  struct Spent {
    Money amount = 0;  // exact for this process
    Look others;
  };

  void writing(const ProjectId& project, UnixSeconds month);
  // `total` is what the project's row holds now.
  void written(const ProjectId& project, UnixSeconds month, Money amount, Money total, Look look);

  // nullopt until a row was read or written.
  std::optional<Spent> spent(const ProjectId& project, UnixSeconds month) const;

  // Around a read of the row: a ticket before, then what was read. A reading that a write of this process
  // crossed is dropped, since nobody knows whether it holds that write.
  std::uint64_t begin_reading(const ProjectId& project, UnixSeconds month);
  // False when it was dropped.
  bool read(const ProjectId& project, UnixSeconds month, std::uint64_t ticket, Money total, Look look);

 private:
  struct Entry {
    std::optional<Money> stored;
    Look look;
    Money pending = 0;
    std::uint64_t writes = 0;  // begun
    bool writing = false;
  };

  Entry& entry(const ProjectId& project, UnixSeconds month);

  mutable std::mutex mutex_;
  std::map<UnixSeconds, std::unordered_map<ProjectId, Entry>> months_;  // guarded by mutex_
};

}  // namespace hearth::domain
