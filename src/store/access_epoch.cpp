#include "store/access_epoch.hpp"

namespace hearth::store {

Task<std::uint64_t> AccessEpoch::current() {
  const std::uint64_t token = database_.change_token();  // before the row is read
  {
    std::lock_guard lock(mutex_);
    if (known_ && token_ == token) co_return epoch_;
  }
  const auto epoch = co_await database_.read_first([](db::Connection& connection) {
    return connection.query("SELECT value FROM epochs WHERE name = 'access'")[0].get<std::uint64_t>(0);
  });
  std::lock_guard lock(mutex_);
  // Of two that read at once, the later token wins nothing: at worst the next caller reads once more.
  known_ = true;
  token_ = token;
  epoch_ = epoch;
  co_return epoch;
}

void AccessEpoch::advance_in(db::Connection& connection) {
  connection.execute("UPDATE epochs SET value = value + 1 WHERE name = 'access'");
}

}  // namespace hearth::store
