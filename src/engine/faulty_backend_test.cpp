#include "engine/faulty_backend.hpp"

#include "engine/scripted_server.hpp"

namespace hearth::engine {
namespace {

using testing::on_runtime;
using Fault = FaultPlan::Fault;
const CallContext call{.request_id = "r", .deadline = SteadyTime::max()};

// How many chunks came before it ended; negative when it ended badly.
Task<int> count_chunks(Backend& backend) {
  int count = 0;
  try {
    const auto stream = co_await backend.stream_chat({}, call);
    while (co_await stream->next())
      ++count;
  } catch (const ApiError&) {
    co_return -1 - count;
  }
  co_return count;
}

TEST(FaultyBackend, FailsWhereItIsToldTo) {
  on_runtime([](async::Scope&) -> Task<void> {
    FaultyBackend fine;
    EXPECT_EQ(co_await count_chunks(fine), 6);
    EXPECT_EQ((co_await fine.chat({}, call)).at("usage").at("total_tokens").as_int64(), 5);
    FaultyBackend midway({.fault = Fault::dies_midway});
    EXPECT_EQ(co_await count_chunks(midway), -3);
    EXPECT_EQ(midway.open_streams, 0u);
    FaultyBackend early({.fault = Fault::dies_before_first});
    EXPECT_EQ(co_await count_chunks(early), -1);
    FaultyBackend hanging({.fault = Fault::hangs});
    bool late = false;
    try {
      co_await async::with_deadline(std::chrono::milliseconds(20), hanging.probe(call));
    } catch (const async::DeadlineExceeded&) {
      late = true;
    }
    EXPECT_TRUE(late);
  });
}

}  // namespace
}  // namespace hearth::engine
