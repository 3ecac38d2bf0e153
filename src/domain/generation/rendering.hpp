// What engines say, in the API's shapes: chat completions and text completions, whole and in chunks. Pure.
#pragma once

#include <string>
#include <string_view>

#include "base/clock.hpp"
#include "domain/generation/gathered.hpp"
#include "engine/task/generation.hpp"
#include "json/json.hpp"

namespace hearth::domain {

enum class ReplyKind { chat, completion };

// What is ours in every reply and chunk.
struct ReplyStamp {
  enum class Tier { untold, told };
  std::string id;
  UnixSeconds created = 0;
  std::string model;         // as the client asked for it
  Tier tier = Tier::untold;  // told: the request named a service tier, so the reply tells which one it got
};

// The state of the choice that a delta belongs to.
enum class ChoiceState { begins, goes_on };
// Whether chunks have a member `usage`: null until the last one.
enum class UsageMember { absent, null };

struct ChunkFrame {
  const ReplyStamp& stamp;
  std::string_view fingerprint;  // empty: none
  UsageMember usage = UsageMember::absent;
};

// Into `out`, which is null and gives the memory. False, and nothing written, when the delta has nothing that
// the API knows.
bool render_chat_chunk(const ChunkFrame& frame, const engine::Delta& delta, ChoiceState state,
                       json::value& out);
bool render_completion_chunk(const ChunkFrame& frame, const engine::Delta& delta, json::value& out);
// The chunk after the last one, for who asked for usage.
void render_usage_chunk(ReplyKind kind, const ChunkFrame& frame, const engine::TokenUsage& usage,
                        json::value& out);

json::object render_chat(const ReplyStamp& stamp, std::string_view fingerprint, const Gathered& gathered,
                         const engine::TokenUsage& usage);
json::object render_completion(const ReplyStamp& stamp, std::string_view fingerprint,
                               const Gathered& gathered, const engine::TokenUsage& usage);

}  // namespace hearth::domain
