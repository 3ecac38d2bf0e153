// An upstream's answers in the contract's words. Pure: JSON in, JSON out.
//
// Upstreams differ in what they leave out and what they add. Members that the contract does not know are
// dropped, missing ones are completed where that can be done honestly, and an answer that cannot be used is
// ApiError 503.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/api_error.hpp"
#include "json/json.hpp"
#include "net/http.hpp"

namespace hearth::engine::upstream {

enum class Asked { chat, completion, embedding };
enum class Delivery { whole, streamed };

// The request as the upstream gets it: its own name of the model, `stream` and `stream_options` as `delivery`
// needs them; what only concerns this server and what is null is left out.
std::string render_request(const json::object& request, std::string_view model, Delivery delivery);
// How many choices the answer must have.
std::size_t count_choices(const json::object& request, Asked asked);

// Into memory of its own, shared by all that is taken out of it.
json::value parse_answer(std::string_view text);

// Whole replies; `expected` counts the choices. Fewer of several choices is 400: more than this upstream can
// do.
json::object read_reply(json::value answer, Asked asked, std::size_t expected);
json::object read_embeddings(json::value answer, const json::object& request);
// Shortens vectors that are longer than `dimensions`: the upstream took no notice of it. Shorter ones cannot
// be used. `reply` is what read_embeddings() gave.
void fit_dimensions(json::object& reply, const json::object& request);
bool has_usage(const json::object& reply);

bool wants_logprobs(const json::object& request, Asked asked);
// How a reply or chunk that read_reply() or ChunkReader gave answers the wish for log probabilities.
enum class Logprobs { undecided, given, missing };  // undecided: it holds no text that could have them
Logprobs judge_logprobs(const json::object& reply, Asked asked);

// The chunks of one stream.
class ChunkReader {
 public:
  ChunkReader(Asked asked, std::size_t choices) : asked_(asked), choices_(choices) {}
  // nullopt when nothing in it is for the client. Throws when it holds an error.
  std::optional<json::object> read(json::value chunk);
  // Every choice has ended.
  bool complete() const { return finished_ == choices_.size(); }
  // The chunk that ends the stream: no choices, the usage.
  json::object usage_chunk() const;
  bool counted() const { return !usage_; }  // the upstream reported no usage

 private:
  struct Choice {
    bool started = false;
    bool finished = false;
    bool calls_tools = false;
  };
  std::optional<json::value> read_choice(json::value& entry, std::size_t position);

  Asked asked_;
  std::vector<Choice> choices_;
  std::size_t finished_ = 0;
  std::uint64_t pieces_ = 0;
  std::optional<json::object> usage_;
};

// `body` of a reply with an error status. `secret` is the upstream's key, which no message may show.
ApiError read_error(int status, const net::Headers& headers, std::string_view body, std::string_view secret);
// An error event in a stream. Its message may quote keys and prompts, so the log names only its kind.
void log_stream_error(const json::value& error);
ApiError unusable_answer();

}  // namespace hearth::engine::upstream
