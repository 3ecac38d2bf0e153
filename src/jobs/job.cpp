#include "jobs/job.hpp"

#include <algorithm>
#include <array>

namespace hearth::jobs {
namespace {

constexpr std::array<std::string_view, 5> state_names{"queued", "running", "succeeded", "failed",
                                                      "cancelled"};

}  // namespace

UnixMillis unix_millis(const Clock& clock) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(clock.now().time_since_epoch()).count();
}

std::string_view state_name(JobState state) {
  return state_names[static_cast<std::size_t>(state)];
}

std::optional<JobState> parse_state(std::string_view name) {
  const auto found = std::ranges::find(state_names, name);
  if (found == state_names.end()) return std::nullopt;
  return static_cast<JobState>(found - state_names.begin());
}

std::chrono::milliseconds RetryPolicy::pause(const JobId& job, int attempt) const {
  constexpr int most_doublings = 30;
  const std::int64_t factor = std::int64_t{1} << std::clamp(attempt - 1, 0, most_doublings);
  const std::int64_t whole =
      first.count() > longest.count() / factor ? longest.count() : first.count() * factor;
  // Between three quarters and all of it, by the job: the same job waits the same time in every test.
  const std::int64_t spread = whole / 4;
  const auto hash = static_cast<std::int64_t>(std::hash<JobId>{}(job) % 1024);
  return std::chrono::milliseconds(whole - spread * hash / 1024);
}

}  // namespace hearth::jobs
