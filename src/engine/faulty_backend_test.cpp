#include "engine/faulty_backend.hpp"

#include <algorithm>

#include "engine/scripted_server.hpp"

namespace hearth::engine {
namespace {

using testing::on_runtime;
using Fault = FaultPlan::Fault;
CallContext call("r", SteadyTime::max());

// How many pieces came before the stream ended; negative when it ended badly.
template <class Stream>
Task<int> count_pieces(Task<std::unique_ptr<Stream>> begun) {
  int count = 0;
  try {
    const auto stream = co_await std::move(begun);
    for (;;) {
      const auto piece = co_await stream->next();
      if constexpr (requires { piece.empty(); }) {
        if (piece.empty()) co_return count;
      } else {
        if (!piece) co_return count;
      }
      ++count;
    }
  } catch (const ApiError&) {
    co_return -1 - count;
  }
}

// How many deltas of a chat came before it ended; negative when it ended badly.
Task<int> count_deltas(Backend& backend) {
  return count_pieces(backend.chat()->chat({}, Delivery::streamed, call));
}

TEST(FaultyBackend, FailsWhereItIsToldTo) {
  on_runtime([](async::Scope&) -> Task<void> {
    FaultyBackend fine;
    EXPECT_EQ(co_await count_deltas(fine), 5);
    const json::object request;
    const auto whole = co_await fine.chat()->chat(request, Delivery::whole, call);
    std::string text;
    while (const Delta* delta = co_await whole->next())
      text += delta->text;
    EXPECT_EQ(text, "Once upon a time");
    EXPECT_EQ(whole->usage(), (TokenUsage{.prompt = 1, .completion = 4}));
    FaultyBackend midway({.fault = Fault::dies_midway});
    EXPECT_EQ(co_await count_deltas(midway), -3);
    EXPECT_EQ(midway.open_streams, 0u);
    FaultyBackend early({.fault = Fault::dies_before_first});
    EXPECT_EQ(co_await count_deltas(early), -1);
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

TEST(FaultyBackend, HasEveryTask) {
  on_runtime([](async::Scope&) -> Task<void> {
    FaultyBackend fine;
    EXPECT_FALSE(find_missing_task(
        fine, {Capability::chat, Capability::infill, Capability::embedding, Capability::transcription,
               Capability::speech, Capability::image, Capability::classification}));
    TranscriptionRequest heard{.samples = std::vector<float>(32'000), .language = "de"};
    auto transcript = co_await fine.transcription()->transcribe(heard, call);
    std::string text;
    while (const TranscribedSegment* segment = co_await transcript->next())
      text += segment->text;
    EXPECT_EQ(text, "Once upon a time");
    EXPECT_EQ(transcript->end().language, "de");
    EXPECT_EQ(transcript->end().duration, std::chrono::seconds(2));

    const ImageRequest wish{.prompt = "snow", .width = 2, .height = 3, .count = 2};
    auto images = co_await fine.image()->draw(wish, call);
    std::size_t complete = 0;
    while (const ImageDelta* delta = co_await images->next()) {
      EXPECT_EQ(delta->image.pixels.size(), 24u);
      if (delta->stage == ImageDelta::Stage::complete) ++complete;
    }
    EXPECT_EQ(complete, 2u);

    const ClassificationRequest texts{.texts = {"HEy", ""}};
    const Classification found = co_await fine.classification()->classify(texts, call);
    EXPECT_EQ(found.texts.at(0).at(0).label, "loud");
    EXPECT_NEAR(found.texts.at(0).at(0).score, 2.0 / 3, 1e-9);
    EXPECT_EQ(found.texts.at(1).at(0).score, 0);

    FaultyBackend midway({.fault = Fault::dies_midway});
    EXPECT_EQ(co_await count_pieces(fine.speech()->speak({.text = "four"}, call)), 4);
    EXPECT_EQ(co_await count_pieces(midway.speech()->speak({.text = "four"}, call)), -3);
    EXPECT_EQ(co_await count_pieces(midway.image()->draw(wish, call)), -3);
    EXPECT_EQ(co_await count_pieces(midway.transcription()->transcribe({}, call)), -3);
    images = nullptr;
    transcript = nullptr;
    EXPECT_EQ(fine.open_streams, 0u);
    EXPECT_EQ(midway.open_streams, 0u);
  });
}

// An engine without any task.
class IdleBackend final : public Backend {
 public:
  Task<void> probe(CallContext&) override { co_return; }
};

TEST(Backend, SaysWhichTaskItLacks) {
  IdleBackend idle;
  EXPECT_EQ(find_missing_task(idle, {}), std::nullopt);
  for (std::size_t i = 0; i < capability_names.size(); ++i) {
    const auto capability = static_cast<Capability>(i);
    EXPECT_EQ(find_missing_task(idle, {capability}), capability) << capability_name(capability);
  }
}

}  // namespace
}  // namespace hearth::engine
