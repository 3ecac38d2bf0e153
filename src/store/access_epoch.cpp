#include "store/access_epoch.hpp"

#include <utility>

namespace hearth::store {

AccessEpoch::AccessEpoch(db::Database& database) : database_(database) {
  database_.on_quiet_commit([this](std::uint64_t before, std::uint64_t after) { carry_over(before, after); });
}

AccessEpoch::~AccessEpoch() {
  database_.on_quiet_commit(nullptr);
}

void AccessEpoch::carry_over(std::uint64_t before, std::uint64_t after) {
  std::lock_guard lock(mutex_);
  if (known_ && token_ == before) token_ = after;
}

std::optional<std::uint64_t> AccessEpoch::find_current() {
  const std::uint64_t token = database_.change_token();
  std::lock_guard lock(mutex_);
  return known_ && token_ == token ? std::optional(epoch_) : std::nullopt;
}

Task<std::uint64_t> AccessEpoch::current() {
  const auto known = find_current();
  co_return known ? *known : co_await read();
}

Task<std::uint64_t> AccessEpoch::read() {
  const std::uint64_t token = database_.change_token();  // before the row is read
  std::shared_ptr<Reading> reading;
  bool begins = false;
  {
    std::lock_guard lock(mutex_);
    if (known_ && token_ == token) co_return epoch_;
    // One that began under this token reads what this one would; one that began before it may not.
    begins = !reading_ || reading_->token != token;
    if (begins) {
      reading_ = std::make_shared<Reading>();
      reading_->token = token;
    }
    reading = reading_;
  }
  if (begins) co_return co_await read_for_all(std::move(reading));
  co_await async::await_callback<void>([this, &reading](async::Resolver<void> done) {
    std::unique_lock lock(mutex_);
    if (!reading->ended) {
      reading->waiting.push_back(std::move(done));
      return;
    }
    lock.unlock();
    done({});
  });
  // The other's failure is not this one's.
  co_return reading->epoch ? *reading->epoch : co_await read_row();
}

Task<std::uint64_t> AccessEpoch::read_row() {
  co_return co_await database_.read_first([](db::Connection& connection) {
    return connection.query("SELECT CAST(SUM(value) AS BIGINT) FROM access_epochs")[0].get<std::uint64_t>(0);
  });
}

Task<std::uint64_t> AccessEpoch::read_for_all(std::shared_ptr<Reading> reading) {
  std::optional<std::uint64_t> epoch;
  std::exception_ptr failure;
  try {
    epoch = co_await read_row();
  } catch (...) {
    failure = std::current_exception();
  }
  end(*reading, epoch);
  if (failure) std::rethrow_exception(failure);
  co_return *epoch;
}

void AccessEpoch::end(Reading& reading, std::optional<std::uint64_t> epoch) {
  std::vector<async::Resolver<void>> waiting;
  {
    std::lock_guard lock(mutex_);
    // When two callers read at once, either token may stay: at worst the next caller reads once more.
    if (epoch) {
      known_ = true;
      token_ = reading.token;
      epoch_ = *epoch;
    }
    reading.ended = true;
    reading.epoch = epoch;
    waiting.swap(reading.waiting);
    if (reading_.get() == &reading) reading_.reset();
  }
  for (async::Resolver<void>& done : waiting)
    done({});
}

void AccessEpoch::advance_in(db::Connection& connection, const OrganizationId& organization) {
  connection.announce();
  connection.execute(
      "INSERT INTO access_epochs (organization_id, value) VALUES ($1, 1) "
      "ON CONFLICT (organization_id) DO UPDATE SET value = access_epochs.value + 1",
      {organization});
}

}  // namespace hearth::store
