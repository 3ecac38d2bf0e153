// The one fake backend, for tests of the layers above: answers every task in fixed words and fails where it
// is told to.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <string>
#include <vector>

#include "async/deadline.hpp"
#include "base/api_error.hpp"
#include "engine/backend.hpp"

namespace hearth::engine {

struct FaultPlan {
  enum class Fault {
    none,
    refuses,            // 429 before anything
    dies_before_first,  // 503 before the first piece, or instead of a plain reply
    dies_midway,        // 503 after half of the pieces
    hangs,              // never ends; only cancellation or a deadline helps
  };
  Fault fault = Fault::none;
  std::vector<std::string> pieces{"Once", " upon", " a", " time"};
  std::chrono::milliseconds pause{0};  // before each piece
};

// Thread: any for the counters; the plan is fixed.
class FaultyBackend final : public Backend,
                            public ChatEngine,
                            public CompletionEngine,
                            public EmbeddingEngine,
                            public TranscriptionEngine,
                            public SpeechEngine,
                            public ImageEngine,
                            public ClassificationEngine {
 public:
  using Fault = FaultPlan::Fault;
  explicit FaultyBackend(FaultPlan plan = {}) : plan_(std::move(plan)) {}

  std::atomic<std::size_t> calls{0};
  std::atomic<std::size_t> open_streams{0};

  ChatEngine* chat() override { return this; }
  CompletionEngine* completion() override { return this; }
  EmbeddingEngine* embedding() override { return this; }
  TranscriptionEngine* transcription() override { return this; }
  SpeechEngine* speech() override { return this; }
  ImageEngine* image() override { return this; }
  ClassificationEngine* classification() override { return this; }
  Task<void> probe(CallContext&) override { return work(); }

  // One choice; a delta for each piece, whatever the delivery.
  Task<std::unique_ptr<DeltaStream>> chat(const json::object&, Delivery delivery, CallContext&) override {
    return generate(delivery);
  }
  Task<std::unique_ptr<DeltaStream>> complete(const json::object&, Delivery delivery, CallContext&) override {
    return generate(delivery);
  }
  Task<json::object> embed(const json::object&, CallContext&) override {
    co_await work();
    json::object entry({{"object", "embedding"}, {"index", 0}, {"embedding", json::array({0.6, 0.8})}});
    co_return json::object({{"object", "list"},
                            {"data", json::array({std::move(entry)})},
                            {"usage", {{"prompt_tokens", 1}, {"total_tokens", 1}}}});
  }
  // A segment of a second for each piece.
  Task<std::unique_ptr<TranscriptStream>> transcribe(TranscriptionRequest request, CallContext&) override {
    co_await begin();
    co_return std::make_unique<Transcript>(*this, std::move(request));
  }
  // A tenth of a second of silence for each byte of the text.
  Task<std::unique_ptr<SpeechStream>> speak(SpeechRequest request, CallContext&) override {
    co_await begin();
    co_return std::make_unique<Speech>(*this, std::move(request));
  }
  // White, as large as it was asked for; each first partial, then complete.
  Task<std::unique_ptr<ImageStream>> draw(ImageRequest request, CallContext&) override {
    co_await begin();
    co_return std::make_unique<Images>(*this, std::move(request));
  }
  // How much of each text is in capitals.
  Task<Classification> classify(ClassificationRequest request, CallContext&) override {
    co_await work();
    Classification out;
    for (const std::string& text : request.texts) {
      const auto loud = std::ranges::count_if(text, [](char c) { return c >= 'A' && c <= 'Z'; });
      const double share = text.empty() ? 0 : static_cast<double>(loud) / static_cast<double>(text.size());
      out.texts.push_back({{"loud", share}, {"quiet", 1 - share}});
    }
    co_return out;
  }

 private:
  static ApiError dead() { return ApiError::unavailable("engine_unavailable", "The engine has failed."); }

  Task<std::unique_ptr<DeltaStream>> generate(Delivery delivery) {
    if (delivery == Delivery::whole) {
      co_await work();
    } else {
      co_await begin();
    }
    co_return std::make_unique<Deltas>(*this);
  }

  Task<void> work() {
    ++calls;
    if (plan_.fault == Fault::refuses)
      throw ApiError::rate_limited("rate_limit_exceeded", "Too many requests.");
    co_await async::sleep_for(plan_.pause * plan_.pieces.size());
    if (plan_.fault == Fault::hangs) co_await async::sleep_for(std::chrono::hours(1));
    if (plan_.fault != Fault::none) throw dead();
  }

  Task<void> begin() {
    ++calls;
    if (plan_.fault == Fault::refuses)
      throw ApiError::rate_limited("rate_limit_exceeded", "Too many requests.");
    if (plan_.fault == Fault::dies_before_first) throw dead();
    co_return;
  }

  // What the streams of all tasks share: so many pieces, with the pauses and the fault of the plan.
  class Pieces {
   public:
    Pieces(FaultyBackend& owner, std::size_t count) : owner_(owner), count_(count) { ++owner_.open_streams; }
    ~Pieces() { --owner_.open_streams; }
    Pieces(const Pieces&) = delete;

    // The number of the next piece; from `count` on there are no more.
    Task<std::size_t> next() {
      co_await async::sleep_for(owner_.plan_.pause);
      if (owner_.plan_.fault == Fault::dies_midway && at_ == count_ / 2) throw dead();
      if (owner_.plan_.fault == Fault::hangs && at_ == count_ / 2)
        co_await async::sleep_for(std::chrono::hours(1));
      co_return at_++;
    }
    FaultyBackend& owner() const { return owner_; }
    std::size_t count() const { return count_; }

   private:
    FaultyBackend& owner_;
    std::size_t count_;
    std::size_t at_ = 0;
  };

  class Deltas final : public DeltaStream {
   public:
    explicit Deltas(FaultyBackend& owner)
        : pieces_(owner, owner.plan_.pieces.size()),
          usage_{.prompt = 1, .completion = static_cast<std::int64_t>(owner.plan_.pieces.size())} {}

    Task<const Delta*> next() override {
      const std::size_t at = co_await pieces_.next();
      if (at > pieces_.count()) co_return nullptr;
      delta_.clear();
      if (at < pieces_.count()) {
        delta_.text = pieces_.owner().plan_.pieces[at];
      } else {
        delta_.finish = FinishReason::stop;
      }
      co_return &delta_;
    }
    const TokenUsage& usage() const override { return usage_; }

   private:
    Pieces pieces_;
    TokenUsage usage_;
    Delta delta_;
  };

  class Transcript final : public TranscriptStream {
   public:
    Transcript(FaultyBackend& owner, TranscriptionRequest request)
        : pieces_(owner, owner.plan_.pieces.size()),
          end_{.language = request.language.value_or("en"),
               .duration = std::chrono::milliseconds(1000 * request.samples.size() /
                                                     TranscriptionRequest::sample_rate)} {}

    Task<const TranscribedSegment*> next() override {
      const std::size_t at = co_await pieces_.next();
      if (at >= pieces_.count()) co_return nullptr;
      segment_ = {.text = pieces_.owner().plan_.pieces[at],
                  .start = std::chrono::seconds(at),
                  .end = std::chrono::seconds(at + 1),
                  .words = {},
                  .tokens = {static_cast<std::int64_t>(at)}};
      co_return &segment_;
    }
    const TranscriptionEnd& end() const override { return end_; }

   private:
    Pieces pieces_;
    TranscriptionEnd end_;
    TranscribedSegment segment_;
  };

  class Speech final : public SpeechStream {
   public:
    Speech(FaultyBackend& owner, SpeechRequest request) : pieces_(owner, request.text.size()) {}
    int sample_rate() const override { return 24'000; }
    Task<std::span<const std::int16_t>> next() override {
      const std::size_t at = co_await pieces_.next();
      co_return std::span(samples_).first(at < pieces_.count() ? samples_.size() : 0);
    }

   private:
    Pieces pieces_;
    const std::vector<std::int16_t> samples_ = std::vector<std::int16_t>(2'400);
  };

  class Images final : public ImageStream {
   public:
    Images(FaultyBackend& owner, ImageRequest request)
        : pieces_(owner, 2 * request.count), request_(std::move(request)) {}
    Task<const ImageDelta*> next() override {
      const std::size_t at = co_await pieces_.next();
      if (at >= pieces_.count()) co_return nullptr;
      image_ = {.index = at / 2,
                .stage = at % 2 == 0 ? ImageDelta::Stage::partial : ImageDelta::Stage::complete,
                .image = {.width = request_.width, .height = request_.height, .pixels = {}}};
      image_.image.pixels.assign(std::size_t{4} * request_.width * request_.height, 255);
      co_return &image_;
    }

   private:
    Pieces pieces_;
    ImageRequest request_;
    ImageDelta image_;
  };

  const FaultPlan plan_;
};

}  // namespace hearth::engine
