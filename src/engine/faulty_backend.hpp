// The one fake backend, for tests of the layers above: answers in fixed words and fails where it is told to.
#pragma once

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
    dies_before_first,  // 503 before the first chunk, or instead of a plain reply
    dies_midway,        // 503 after half of the chunks
    hangs,              // never ends; only cancellation or a deadline helps
  };
  Fault fault = Fault::none;
  std::vector<std::string> pieces{"Once", " upon", " a", " time"};
  std::chrono::milliseconds pause{0};  // before each piece
};

// Thread: any for the counters; the plan is fixed.
class FaultyBackend final : public Backend {
 public:
  using Fault = FaultPlan::Fault;
  explicit FaultyBackend(FaultPlan plan = {}) : plan_(std::move(plan)) {}

  std::atomic<std::size_t> calls{0};
  std::atomic<std::size_t> open_streams{0};

  Task<json::object> chat(const json::object&, const CallContext&) override {
    co_await work();
    std::string text;
    for (const auto& piece : plan_.pieces)
      text += piece;
    json::object message({{"role", "assistant"}, {"content", text}, {"refusal", nullptr}});
    json::object choice(
        {{"index", 0}, {"message", std::move(message)}, {"logprobs", nullptr}, {"finish_reason", "stop"}});
    co_return json::object(
        {{"object", "chat.completion"}, {"choices", json::array({std::move(choice)})}, {"usage", usage()}});
  }
  Task<std::unique_ptr<ChunkStream>> stream_chat(const json::object&, const CallContext&) override {
    return begin(Shape::chat);
  }
  Task<json::object> complete(const json::object&, const CallContext&) override {
    co_await work();
    std::string text;
    for (const auto& piece : plan_.pieces)
      text += piece;
    json::object choice({{"index", 0}, {"text", text}, {"logprobs", nullptr}, {"finish_reason", "stop"}});
    co_return json::object(
        {{"object", "text_completion"}, {"choices", json::array({std::move(choice)})}, {"usage", usage()}});
  }
  Task<std::unique_ptr<ChunkStream>> stream_complete(const json::object&, const CallContext&) override {
    return begin(Shape::completion);
  }
  Task<json::object> embed(const json::object&, const CallContext&) override {
    co_await work();
    json::object entry({{"object", "embedding"}, {"index", 0}, {"embedding", json::array({0.6, 0.8})}});
    co_return json::object({{"object", "list"},
                            {"data", json::array({std::move(entry)})},
                            {"usage", {{"prompt_tokens", 1}, {"total_tokens", 1}}}});
  }
  Task<void> probe(const CallContext&) override { return work(); }

 private:
  enum class Shape { chat, completion };

  static ApiError dead() { return ApiError::unavailable("engine_unavailable", "The engine has failed."); }

  json::object usage() const {
    const auto pieces = static_cast<std::int64_t>(plan_.pieces.size());
    return {{"prompt_tokens", 1}, {"completion_tokens", pieces}, {"total_tokens", pieces + 1}};
  }

  Task<void> work() {
    ++calls;
    if (plan_.fault == Fault::refuses)
      throw ApiError::rate_limited("rate_limit_exceeded", "Too many requests.");
    co_await async::sleep_for(plan_.pause * plan_.pieces.size());
    if (plan_.fault == Fault::hangs) co_await async::sleep_for(std::chrono::hours(1));
    if (plan_.fault != Fault::none) throw dead();
  }

  Task<std::unique_ptr<ChunkStream>> begin(Shape shape) {
    ++calls;
    if (plan_.fault == Fault::refuses)
      throw ApiError::rate_limited("rate_limit_exceeded", "Too many requests.");
    if (plan_.fault == Fault::dies_before_first) throw dead();
    co_return std::make_unique<Stream>(*this, shape);
  }

  class Stream final : public ChunkStream {
   public:
    Stream(FaultyBackend& owner, Shape shape) : owner_(owner), shape_(shape) { ++owner_.open_streams; }
    ~Stream() override { --owner_.open_streams; }

    Task<std::optional<json::object>> next() override {
      const auto& pieces = owner_.plan_.pieces;
      co_await async::sleep_for(owner_.plan_.pause);
      if (owner_.plan_.fault == Fault::dies_midway && at_ == pieces.size() / 2) throw dead();
      if (owner_.plan_.fault == Fault::hangs && at_ == pieces.size() / 2)
        co_await async::sleep_for(std::chrono::hours(1));
      const std::size_t at = at_++;
      if (at < pieces.size()) co_return chunk(pieces[at], nullptr);
      if (at == pieces.size()) co_return chunk("", "stop");
      if (at > pieces.size() + 1) co_return std::nullopt;
      json::object last({{"object", kind()}, {"choices", json::array()}});
      last.emplace("usage", owner_.usage());
      co_return last;
    }

   private:
    const char* kind() const { return shape_ == Shape::chat ? "chat.completion.chunk" : "text_completion"; }
    json::object chunk(const std::string& text, json::value finish) const {
      json::object choice({{"index", 0}, {"logprobs", nullptr}, {"finish_reason", std::move(finish)}});
      if (shape_ == Shape::completion) {
        choice.emplace("text", text);
      } else {
        choice.emplace("delta", json::object({{"role", "assistant"}, {"content", text}}));
      }
      return {{"object", kind()}, {"choices", json::array({std::move(choice)})}};
    }
    FaultyBackend& owner_;
    Shape shape_;
    std::size_t at_ = 0;
  };

  const FaultPlan plan_;
};

}  // namespace hearth::engine
