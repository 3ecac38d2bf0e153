#include "domain/generation/generation_stream.hpp"

namespace hearth::domain {

void count_usage(contract::Used& used, const engine::TokenUsage& usage) {
  used.input_tokens = usage.prompt;
  used.output_tokens = usage.completion;
  used.cached_tokens = usage.cached_prompt.value_or(0);
  used.input_audio_tokens = usage.audio_prompt.value_or(0);
  used.output_audio_tokens = usage.audio_completion.value_or(0);
}

GenerationStream::GenerationStream(std::unique_ptr<engine::Lease> lease,
                                   std::unique_ptr<engine::DeltaStream> deltas, Settings settings,
                                   contract::Used& used)
    : lease_(std::move(lease)), deltas_(std::move(deltas)), settings_(std::move(settings)), used_(used) {}

Task<void> GenerationStream::begin() {
  ahead_ = co_await advance();
}

Task<const json::value*> GenerationStream::next() {
  const bool there = std::exchange(ahead_, false) || co_await advance();
  co_return there ? &*chunk_ : nullptr;
}

// Makes the next chunk; false at the end.
Task<bool> GenerationStream::advance() {
  if (ended_) co_return false;
  while (const engine::Delta* delta = co_await deltas_->next()) {
    if (delta->says_something() || !delta->reasoning.empty()) ++used_.output_tokens;
    if (settings_.keep == Keep::whole) gathered_.add(*delta);
    if (render(*delta)) co_return true;
  }
  ended_ = true;
  count_usage(used_, deltas_->usage());
  if (settings_.usage == Usage::withheld) co_return false;
  chunk_.reset();
  memory_.release();
  render_usage_chunk(settings_.kind, {.stamp = settings_.stamp, .fingerprint = deltas_->fingerprint()},
                     deltas_->usage(), chunk_.emplace(nullptr, &memory_));
  co_return true;
}

bool GenerationStream::render(const engine::Delta& delta) {
  chunk_.reset();
  memory_.release();
  json::value& out = chunk_.emplace(nullptr, &memory_);
  const ChunkFrame frame{
      .stamp = settings_.stamp,
      .fingerprint = deltas_->fingerprint(),
      .usage = settings_.usage == Usage::included ? UsageMember::null : UsageMember::absent};
  if (settings_.kind == ReplyKind::completion) return render_completion_chunk(frame, delta, out);
  const auto state = begins(delta.choice) ? ChoiceState::begins : ChoiceState::goes_on;
  return render_chat_chunk(frame, delta, state, out);
}

bool GenerationStream::begins(std::size_t choice) {
  if (choice >= begun_.size()) begun_.resize(choice + 1);
  if (begun_[choice]) return false;
  begun_[choice] = true;
  return true;
}

json::object GenerationStream::whole() const {
  return settings_.kind == ReplyKind::chat
             ? render_chat(settings_.stamp, deltas_->fingerprint(), gathered_, deltas_->usage())
             : render_completion(settings_.stamp, deltas_->fingerprint(), gathered_, deltas_->usage());
}

}  // namespace hearth::domain
