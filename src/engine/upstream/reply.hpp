// An upstream's answers as deltas. Pure: JSON in, deltas out (vectors stay JSON).
//
// Upstreams differ in what they leave out and what they add. Members that the contract does not know are
// dropped, missing ones are completed where that can be done honestly, and an answer that cannot be used is
// ApiError 503.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/api_error.hpp"
#include "engine/task/generation.hpp"
#include "json/json.hpp"
#include "net/http.hpp"

namespace hearth::engine::upstream {

enum class Asked { chat, completion, embedding };

// The request as the upstream gets it: its own name of the model, `stream` and `stream_options` as `delivery`
// needs them; what only concerns this server and what is null is left out.
std::string render_request(const json::object& request, std::string_view model, Delivery delivery);
// How many choices the answer must have.
std::size_t count_choices(const json::object& request, Asked asked);

// Into memory of its own, shared by all that is taken out of it.
json::value parse_answer(std::string_view text);

// A whole reply: a delta for each choice.
struct WholeReply {
  std::vector<Delta> deltas;
  TokenUsage usage;
  std::string fingerprint;
};
// `expected` counts the choices. Fewer of several choices is 400: more than this upstream can do.
WholeReply read_reply(json::value answer, Asked asked, std::size_t expected);
json::object read_embeddings(json::value answer, const json::object& request);
// Shortens vectors that are longer than `dimensions`: the upstream took no notice of it. Shorter ones cannot
// be used. `reply` is what read_embeddings() gave.
void fit_dimensions(json::object& reply, const json::object& request);
// Whether an embedding's reply says what was used.
bool has_usage(const json::object& reply);

bool wants_logprobs(const json::object& request, Asked asked);
// How a delta answers the wish for log probabilities.
enum class LogprobsGiven { undecided, yes, no };  // undecided: it holds no text that could have them
LogprobsGiven judge_logprobs(const Delta& delta);

// The chunks of one stream, brought to one form by what came before: ids, names and the beginning of a choice
// are said once, missing places and ids are made up for.
class ChunkReader {
 public:
  ChunkReader(Asked asked, std::size_t choices) : asked_(asked), choices_(choices) {}
  // What the event's data says; empty when nothing in it is for the client. Valid until the next call. Throws
  // when it holds an error.
  std::span<Delta> read(std::string_view data);
  // Every choice has ended.
  bool complete() const { return finished_ == choices_.size(); }
  // What the upstream reported; without a report, each piece of the answer is one token.
  const TokenUsage& usage() const { return usage_; }
  bool counted() const { return !reported_; }  // the upstream reported no usage
  std::string_view fingerprint() const { return fingerprint_; }

 private:
  struct Call {
    bool has_id = false;
    bool has_name = false;
  };
  struct Choice {
    bool started = false;
    bool finished = false;
    std::vector<Call> calls;
    std::int64_t offset = 0;  // characters of text so far
  };
  void read_choice(const json::value& entry, std::size_t position);
  void read_delta(const json::object& given, Choice& choice, Delta& out);
  Delta& next_delta();

  Asked asked_;
  std::vector<Choice> choices_;
  std::size_t finished_ = 0;
  bool reported_ = false;
  TokenUsage usage_;
  std::string fingerprint_;
  std::vector<Delta> deltas_;  // the first `used_` are of the last event; all keep their memory
  std::size_t used_ = 0;
};

// `body` of a reply with an error status. `secret` is the upstream's key, which no message may show.
ApiError read_error(int status, const net::Headers& headers, std::string_view body, std::string_view secret);
// An error event in a stream. Its message may quote keys and prompts, so the log names only its kind.
void log_stream_error(const json::value& error);
ApiError unusable_answer();

}  // namespace hearth::engine::upstream
