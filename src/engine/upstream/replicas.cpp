#include "engine/upstream/replicas.hpp"

#include <algorithm>
#include <stdexcept>

#include <fmt/format.h>

#include "base/log.hpp"

namespace hearth::engine::upstream {

Turn::Turn(Turn&& other) noexcept
    : set_(std::exchange(other.set_, nullptr)),
      replica_(other.replica_),
      index_(other.index_),
      must_probe_(other.must_probe_) {}

Turn::~Turn() {
  if (!set_) return;
  std::lock_guard lock(set_->mutex_);
  --replica_->outstanding;
  if (must_probe_) replica_->probing = false;
}

Turn Turn::share() const {
  std::lock_guard lock(set_->mutex_);
  ++replica_->outstanding;
  return Turn(*set_, *replica_, index_, false);
}

void Turn::recovered() {
  std::lock_guard lock(set_->mutex_);
  replica_->open = false;
  replica_->probing = false;
  replica_->failures = set_->policy_.failures_to_open - 1;  // on trial: the next failure opens it again
  must_probe_ = false;
  log::info("upstream is back", {{"replica", replica_->client.origin().host_header()}});
}

void Turn::succeeded() {
  std::lock_guard lock(set_->mutex_);
  replica_->failures = 0;
  replica_->openings = 0;
}

void Turn::failed(std::string_view cause) {
  std::lock_guard lock(set_->mutex_);
  log::warn("upstream call failed", {{"replica", replica_->client.origin().host_header()}, {"cause", cause}});
  ++replica_->failures;
  if (replica_->open ? must_probe_ : replica_->failures >= set_->policy_.failures_to_open)
    set_->open(*replica_, std::chrono::steady_clock::now());
}

ReplicaSet::ReplicaSet(const UpstreamSpec& spec, CircuitPolicy policy) : policy_(policy) {
  if (spec.base_urls.empty()) throw std::runtime_error("the upstream has no base URL");
  if (spec.base_urls.size() > most)
    throw std::runtime_error(fmt::format("the upstream has more than {} base URLs", most));
  using namespace std::chrono_literals;
  // The calls' own limits end a wait first; these are the net below them.
  const net::ClientTimeouts timeouts{
      .header = spec.timeout + 5s, .between_bytes = std::min<std::chrono::milliseconds>(spec.timeout, 120s)};
  for (const std::string& url : spec.base_urls) {
    std::string path;
    auto origin = net::Origin::parse(url, &path);
    if (!origin)
      throw std::runtime_error(fmt::format("'{}' is not a base URL like http://host:port/v1", url));
    while (path.ends_with('/'))
      path.pop_back();
    replicas_.push_back(std::make_unique<Replica>(std::move(*origin), std::move(path), timeouts));
  }
}

std::optional<Turn> ReplicaSet::pick(std::uint64_t tried, SteadyTime now) {
  std::lock_guard lock(mutex_);
  Replica* best = nullptr;
  std::size_t best_index = 0;
  for (std::size_t step = 0; step < replicas_.size(); ++step) {
    const std::size_t index = (first_ + step) % replicas_.size();
    Replica& replica = *replicas_[index];
    if (tried >> index & 1U) continue;
    if (replica.open) {
      if (replica.probing || now < replica.retry_at) continue;
      replica.probing = true;
      ++replica.outstanding;
      return Turn(*this, replica, index, true);
    }
    if (!best || replica.outstanding < best->outstanding) {
      best = &replica;
      best_index = index;
    }
  }
  if (!best) return std::nullopt;
  first_ = (best_index + 1) % replicas_.size();
  ++best->outstanding;
  return Turn(*this, *best, best_index, false);
}

bool ReplicaSet::has_other(std::uint64_t tried) const {
  std::lock_guard lock(mutex_);
  for (std::size_t index = 0; index < replicas_.size(); ++index) {
    if (!(tried >> index & 1U) && !replicas_[index]->open) return true;
  }
  return false;
}

std::chrono::milliseconds ReplicaSet::until_retry(SteadyTime now) const {
  constexpr std::chrono::milliseconds least{1'000};
  std::lock_guard lock(mutex_);
  SteadyTime first = SteadyTime::max();
  for (const auto& replica : replicas_) {
    if (replica->open) first = std::min(first, replica->retry_at);
  }
  if (first == SteadyTime::max()) return least;
  return std::max(least, std::chrono::ceil<std::chrono::milliseconds>(first - now));
}

void ReplicaSet::open(Replica& replica, SteadyTime now) {
  constexpr unsigned most_doublings = 16;
  const auto time = std::min<std::chrono::milliseconds>(
      policy_.open_time * (1LL << std::min(replica.openings, most_doublings)), policy_.open_time_most);
  ++replica.openings;
  replica.open = true;
  replica.retry_at = now + time;
  log::error("upstream is down",
             {{"replica", replica.client.origin().host_header()}, {"retry_ms", time.count()}});
}

}  // namespace hearth::engine::upstream
