// Chat completions in llama-server's words, and its answers as deltas. Pure.
//
// A call that is forced (tool_choice required or named) is not left to the server, which does not enforce it:
// the conversation is rendered with the model's own template, the answer is begun for the model ({"name":
// "…", "arguments": ), the name is chosen under a grammar of the allowed names, and the arguments are
// generated under the function's schema. Everything else goes to the server's chat endpoint, whose parser
// knows the model's call format.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "engine/llama/delta_buffer.hpp"
#include "engine/llama/logprobs.hpp"
#include "engine/llama/sampling.hpp"
#include "engine/llama/wire.hpp"
#include "engine/task/generation.hpp"
#include "json/json.hpp"

namespace hearth::engine::llama {

enum class Calls { many, one };
enum class CallRule {
  free,    // the server's parser finds the calls that the model makes, if any
  forced,  // a call must be made
  decide,  // tools and a response format: the server would only enforce the format, so the model's first
           // words decide
};

struct AllowedFunction {
  std::string name;
  json::object parameters;  // the schema of its arguments
};

struct ChatPlan {
  json::object body;  // messages, tools, format
  Sampling sampling;
  std::size_t choices = 1;
  TopCount logprobs;
  CallStyle style = CallStyle::tools;
  Calls calls = Calls::many;
  bool offers_tools = false;
  CallRule rule = CallRule::free;
  std::vector<AllowedFunction> callable;  // unless the rule is free: one of these is called
  bool named = false;                     // exactly this one, by name
  std::optional<std::int64_t> max_tokens;
  std::vector<std::string> ignored;  // paths of parameters without effect
  std::string call_prefix;           // what the model's template puts before a call
  std::string forced_prompt;  // the rendered conversation; filled in from the reply to render_template_call()
  json::array
      images;  // base64, in the order of the conversation; for forced calls, which go round the chat endpoint
};

// Throws ApiError for what this model cannot honour.
ChatPlan plan_chat(const json::object& request, const Traits& traits);

// ---- the usual way: the server's chat endpoint

// What the model does first, under CallRule::decide, with the format left out.
enum class Decision { open, text, call };
json::object render_decision_call(const ChatPlan& plan, std::size_t choice);
Decision read_decision(const json::object& chunk);

json::object render_chat_call(const ChatPlan& plan, std::size_t choice, Delivery delivery);
// Makes ids of calls where the server gave none.
class CallIds {
 public:
  virtual ~CallIds() = default;
  virtual std::string next() = 0;
};
// The choice of a whole reply.
Delta read_chat_choice(const ChatPlan& plan, const json::object& reply, std::size_t choice, CallIds& ids);

// Reads the chunks of one choice.
class ChatReader {
 public:
  ChatReader(const ChatPlan& plan, std::size_t choice, CallIds& ids)
      : plan_(plan), choice_(choice), ids_(ids) {}
  // Adds what the server's chunk says to `out`.
  void feed(const json::object& chunk, DeltaBuffer& out);
  bool finished() const { return finished_; }
  const Usage& usage() const { return usage_; }

 private:
  void read_calls(const json::array& calls, Delta& out);

  const ChatPlan& plan_;
  std::size_t choice_;
  CallIds& ids_;
  bool begun_ = false;
  bool finished_ = false;
  Usage usage_;
};

// ---- a forced call

// The call to wire::template_path; its reply holds the prompt.
json::object render_template_call(const ChatPlan& plan);
// Chooses the name; only where several are allowed.
json::object render_name_call(const ChatPlan& plan, std::size_t choice);
// Writes {"name": NAME, "arguments": OBJECT}.
json::object render_arguments_call(const ChatPlan& plan, std::string_view name, std::size_t choice,
                                   Delivery delivery);
// Finds the arguments in what render_arguments_call() gets, piece by piece.
class ArgumentsReader {
 public:
  // What of `piece` is the arguments'.
  std::string feed(std::string_view piece);

 private:
  bool feed(char c);  // whether it is the arguments'

  std::size_t depth_ = 0;
  std::size_t colons_ = 0;  // of the outer object
  bool in_text_ = false;
  bool escaped_ = false;
};
Delta read_forced_choice(const ChatPlan& plan, std::string_view name, const json::object& arguments_reply,
                         std::size_t choice, CallIds& ids);
// The deltas of a forced call: begin, then each piece of the arguments, then the end.
void begin_forced(const ChatPlan& plan, std::string_view name, CallIds& ids, Delta& out);
void add_forced_piece(const ChatPlan& plan, std::string arguments, Delta& out);
FinishReason forced_finish(const ChatPlan& plan, const json::object& reply);

// A whole choice as the deltas of a stream, for what the server cannot stream.
std::vector<Delta> split_choice(Delta choice);

}  // namespace hearth::engine::llama
