#include "engine/upstream/reply.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "engine/upstream/members.hpp"

namespace hearth::engine::upstream {
namespace {

using json::array;
using json::object;
using json::value;

constexpr std::string_view chat_object = "chat.completion";
constexpr std::string_view chat_chunk_object = "chat.completion.chunk";
constexpr std::string_view completion_object = "text_completion";
constexpr std::string_view assistant = "assistant";

// ---- pieces of an answer

// nullopt while the choice goes on. Upstreams have names of their own; an aborted answer is no answer.
std::optional<std::string_view> finish_reason_of(const object& choice, bool calls_tools) {
  const auto reason = json::find_string(choice, field::finish_reason);
  if (!reason || reason->empty()) return std::nullopt;
  static constexpr std::array<std::string_view, 5> ours{"stop", "length", "tool_calls", "content_filter",
                                                        "function_call"};
  if (const auto found = std::ranges::find(ours, *reason); found != ours.end()) return *found;
  if (*reason == "max_tokens" || *reason == "model_length") return ours[1];
  if (*reason == "tool_use") return ours[2];
  if (*reason == "safety" || *reason == "recitation") return ours[3];
  if (*reason == "abort" || *reason == "error") throw unusable_answer();
  return calls_tools ? ours[2] : ours[0];  // eos, eos_token, end_turn, stop_sequence, …
}

std::string_view without_calls(std::string_view reason) {
  return reason == "tool_calls" || reason == "function_call" ? "stop" : reason;
}

// Text, or a list of text parts as some upstreams write it.
value read_content(object& from, const json::object& out) {
  value* content = from.if_contains(field::content);
  if (!content) return value(nullptr, out.storage());
  if (content->is_string()) return std::move(*content);
  const array* parts = content->if_array();
  if (!parts) return value(nullptr, out.storage());
  json::string text(out.storage());
  for (const value& part : *parts) {
    if (!part.is_object()) continue;
    if (const auto piece = json::find_string(part.get_object(), field::text)) text.append(*piece);
  }
  return value(std::move(text));
}

object read_function(object& from, const object& out) {
  object function(out.storage());
  if (!move_member(from, function, field::name, {json::kind::string})) function.emplace(field::name, "");
  if (!move_member(from, function, field::arguments, {json::kind::string})) {
    const object* written_out = json::find_object(from, field::arguments);
    function.emplace(field::arguments, written_out ? json::write(*written_out) : "");
  }
  return function;
}

// The calls of a whole message.
array read_calls(array& from, const object& out) {
  array calls(out.storage());
  for (value& entry : from) {
    object* call = entry.if_object();
    object* function = call ? object_of(*call, field::function) : nullptr;
    if (!function) throw unusable_answer();
    object kept(out.storage());
    if (!move_member(*call, kept, field::id, {json::kind::string}))
      kept.emplace(field::id, "call_" + std::to_string(calls.size()));
    kept.emplace(field::type, "function");
    kept.emplace(field::function, read_function(*function, out));
    calls.emplace_back(std::move(kept));
  }
  return calls;
}

// The pieces of calls in a delta.
array read_call_pieces(array& from, const object& out) {
  array calls(out.storage());
  for (value& entry : from) {
    object* call = entry.if_object();
    if (!call) throw unusable_answer();
    object kept(out.storage());
    const auto index =
        json::find_integer(*call, field::index).value_or(static_cast<std::int64_t>(calls.size()));
    kept.emplace(field::index, std::max<std::int64_t>(0, index));
    if (move_member(*call, kept, field::id, {json::kind::string})) kept.emplace(field::type, "function");
    if (object* function = object_of(*call, field::function)) {
      object piece(out.storage());
      move_member(*function, piece, field::name, {json::kind::string});
      if (!move_member(*function, piece, field::arguments, {json::kind::string})) {
        if (const object* written_out = json::find_object(*function, field::arguments))
          piece.emplace(field::arguments, json::write(*written_out));
      }
      kept.emplace(field::function, std::move(piece));
    }
    calls.emplace_back(std::move(kept));
  }
  return calls;
}

// One token of chat log probabilities, or of its alternatives.
object read_token(object& from, const object& out) {
  object token(out.storage());
  if (!move_member(from, token, field::token, {json::kind::string})) throw unusable_answer();
  const auto logprob = json::find_number(from, field::logprob);
  token.emplace(field::logprob, logprob.value_or(-9999.0));  // the API's own word for "out of reach"
  move_or_null(from, token, field::bytes, {json::kind::array});
  return token;
}

value read_token_list(object& from, std::string_view name, const object& out) {
  array* tokens = array_of(from, name);
  if (!tokens) return value(nullptr, out.storage());
  array list(out.storage());
  for (value& entry : *tokens) {
    object* given = entry.if_object();
    if (!given) throw unusable_answer();
    object token = read_token(*given, out);
    array alternatives(out.storage());
    if (array* others = array_of(*given, field::top_logprobs)) {
      for (value& other : *others) {
        if (object* alternative = other.if_object()) alternatives.emplace_back(read_token(*alternative, out));
      }
    }
    token.emplace(field::top_logprobs, std::move(alternatives));
    list.emplace_back(std::move(token));
  }
  return value(std::move(list));
}

value read_chat_logprobs(object& choice, const object& out) {
  object* given = object_of(choice, field::logprobs);
  if (!given) return value(nullptr, out.storage());
  object kept(out.storage());
  kept.emplace(field::content, read_token_list(*given, field::content, out));
  kept.emplace(field::refusal, read_token_list(*given, field::refusal, out));
  return value(std::move(kept));
}

value read_completion_logprobs(object& choice, const object& out) {
  object* given = object_of(choice, field::logprobs);
  if (!given) return value(nullptr, out.storage());
  object kept(out.storage());
  for (const auto name : {field::tokens, field::text_offset, field::token_logprobs, field::top_logprobs})
    move_member(*given, kept, name, {json::kind::array});
  return value(std::move(kept));
}

bool has_members(const object& from, std::initializer_list<std::pair<std::string_view, json::kind>> members) {
  return std::ranges::all_of(members, [&](const auto& member) {
    const value* found = json::find(from, member.first);
    return found && found->kind() == member.second;
  });
}

void read_annotations(object& message, object& kept) {
  array* given = array_of(message, field::annotations);
  if (!given) return;
  array annotations(kept.storage());
  for (value& entry : *given) {
    object* annotation = entry.if_object();
    object* citation = annotation ? object_of(*annotation, field::url_citation) : nullptr;
    if (!citation || !has_members(*citation, {{field::start_index, json::kind::int64},
                                              {field::end_index, json::kind::int64},
                                              {field::url, json::kind::string},
                                              {field::title, json::kind::string}}))
      continue;
    object page(kept.storage());
    for (const auto name : {field::start_index, field::end_index, field::url, field::title})
      move_member(*citation, page, name, {json::kind::int64, json::kind::string});
    annotations.emplace_back(
        object({{field::type, field::url_citation}, {field::url_citation, std::move(page)}}, kept.storage()));
  }
  kept.emplace(field::annotations, std::move(annotations));
}

void read_audio(object& message, object& kept) {
  object* given = object_of(message, field::audio);
  if (!given || !has_members(*given, {{field::id, json::kind::string},
                                      {field::expires_at, json::kind::int64},
                                      {field::data, json::kind::string},
                                      {field::transcript, json::kind::string}}))
    return;
  object audio(kept.storage());
  for (const auto name : {field::id, field::expires_at, field::data, field::transcript})
    move_member(*given, audio, name, {json::kind::int64, json::kind::string});
  kept.emplace(field::audio, std::move(audio));
}

object read_message(object& message, const object& out) {
  object kept(out.storage());
  kept.reserve(6);
  kept.emplace(field::role, assistant);
  kept.emplace(field::content, read_content(message, out));
  move_or_null(message, kept, field::refusal, {json::kind::string});
  if (array* calls = array_of(message, field::tool_calls); calls && !calls->empty())
    kept.emplace(field::tool_calls, read_calls(*calls, out));
  if (object* call = object_of(message, field::function_call))
    kept.emplace(field::function_call, read_function(*call, out));
  read_annotations(message, kept);
  read_audio(message, kept);
  return kept;
}

object read_usage(const object& given, const object& out) {
  object usage(out.storage());
  const auto count = [&](std::string_view name) {
    return std::max<std::int64_t>(0, json::find_integer(given, name).value_or(0));
  };
  const auto prompt = count(field::prompt_tokens);
  const auto completion = count(field::completion_tokens);
  usage.emplace(field::prompt_tokens, prompt);
  usage.emplace(field::completion_tokens, completion);
  usage.emplace(field::total_tokens, prompt + completion);
  if (const object* details = json::find_object(given, field::prompt_tokens_details)) {
    object kept(out.storage());
    for (const auto name : {field::audio_tokens, field::cached_tokens})
      move_count(*details, kept, name);
    usage.emplace(field::prompt_tokens_details, std::move(kept));
  }
  if (const object* details = json::find_object(given, field::completion_tokens_details)) {
    object kept(out.storage());
    for (const auto name : {field::accepted_prediction_tokens, field::audio_tokens, field::reasoning_tokens,
                            field::rejected_prediction_tokens})
      move_count(*details, kept, name);
    usage.emplace(field::completion_tokens_details, std::move(kept));
  }
  return usage;
}

object zero_usage(std::uint64_t completion) {
  return object(
      {{field::prompt_tokens, 0}, {field::completion_tokens, completion}, {field::total_tokens, completion}});
}

}  // namespace

value parse_answer(std::string_view text) {
  const auto memory =
      boost::json::make_shared_resource<boost::json::monotonic_resource>(text.size() * 2 + 512);
  unsigned char buffer[4096];
  boost::json::parse_options options;
  options.max_depth = json::max_depth;
  boost::json::parser parser({}, options, buffer);
  parser.reset(memory);
  boost::json::error_code error;
  parser.write(text.data(), text.size(), error);
  if (error) throw unusable_answer();
  return parser.release();
}

object read_reply(value answer, Asked asked, std::size_t expected) {
  object* from = answer.if_object();
  array* choices = from ? array_of(*from, field::choices) : nullptr;
  if (!choices || choices->empty() || choices->size() > expected) throw unusable_answer();
  if (choices->size() < expected)
    throw ApiError::unsupported_value(
        fmt::format("The upstream of this model gave {} of the {} choices asked for.", choices->size(),
                    expected),
        std::string(field::n));
  object out(answer.storage());
  out.reserve(8);
  out.emplace(field::object, asked == Asked::chat ? chat_object : completion_object);
  array kept(out.storage());
  kept.reserve(choices->size());
  for (std::size_t position = 0; position < choices->size(); ++position) {
    object* given = (*choices)[position].if_object();
    if (!given) throw unusable_answer();
    object choice(out.storage());
    choice.reserve(4);
    choice.emplace(field::index, index_of(*given, position, expected));
    if (asked == Asked::chat) {
      object* message = object_of(*given, field::message);
      if (!message) throw unusable_answer();
      object& written =
          choice.emplace(field::message, read_message(*message, out)).first->value().get_object();
      choice.emplace(field::logprobs, read_chat_logprobs(*given, out));
      const bool calls = written.contains(field::tool_calls);
      choice.emplace(field::finish_reason,
                     finish_reason_of(*given, calls).value_or(calls ? "tool_calls" : "stop"));
    } else {
      if (!move_member(*given, choice, field::text, {json::kind::string})) throw unusable_answer();
      choice.emplace(field::logprobs, read_completion_logprobs(*given, out));
      choice.emplace(field::finish_reason, without_calls(finish_reason_of(*given, false).value_or("stop")));
    }
    kept.emplace_back(std::move(choice));
  }
  out.emplace(field::choices, std::move(kept));
  const object* usage = json::find_object(*from, field::usage);
  out.emplace(field::usage, usage ? read_usage(*usage, out) : zero_usage(0));
  move_member(*from, out, field::system_fingerprint, {json::kind::string});
  return out;
}

bool has_usage(const object& reply) {
  const object* usage = json::find_object(reply, field::usage);
  return usage && json::find_integer(*usage, field::total_tokens).value_or(0) > 0;
}

std::optional<object> ChunkReader::read(value chunk) {
  object* from = chunk.if_object();
  if (!from) throw unusable_answer();
  if (const value* error = json::find(*from, field::error); error && !error->is_null()) {
    log_stream_error(*error);
    throw ApiError::unavailable("engine_unavailable", "The upstream of this model failed while it answered.");
  }
  if (const object* usage = json::find_object(*from, field::usage))
    usage_ = object(read_usage(*usage, object()));
  array* choices = array_of(*from, field::choices);
  if (!choices || choices->empty()) return std::nullopt;
  object out(chunk.storage());
  out.reserve(8);
  array kept(out.storage());
  for (std::size_t position = 0; position < choices->size(); ++position) {
    if (auto choice = read_choice((*choices)[position], position)) kept.emplace_back(std::move(*choice));
  }
  if (kept.empty()) return std::nullopt;
  out.emplace(field::object, asked_ == Asked::chat ? chat_chunk_object : completion_object);
  out.emplace(field::choices, std::move(kept));
  move_member(*from, out, field::system_fingerprint, {json::kind::string});
  return out;
}

std::optional<value> ChunkReader::read_choice(value& entry, std::size_t position) {
  object* given = entry.if_object();
  if (!given) throw unusable_answer();
  const std::size_t index = index_of(*given, position, choices_.size());
  Choice& choice = choices_[index];
  if (choice.finished) return std::nullopt;
  object out(entry.storage());
  out.reserve(4);
  out.emplace(field::index, index);
  bool says_something = false;
  if (asked_ == Asked::chat) {
    object delta(out.storage());
    delta.reserve(4);
    if (!choice.started) delta.emplace(field::role, assistant);
    if (object* piece = object_of(*given, field::delta)) {
      move_member(*piece, delta, field::content, {json::kind::string});
      move_member(*piece, delta, field::refusal, {json::kind::string});
      if (array* calls = array_of(*piece, field::tool_calls); calls && !calls->empty()) {
        delta.emplace(field::tool_calls, read_call_pieces(*calls, out));
        choice.calls_tools = true;
      }
      if (object* call = object_of(*piece, field::function_call)) {
        object kept(out.storage());
        move_member(*call, kept, field::name, {json::kind::string});
        move_member(*call, kept, field::arguments, {json::kind::string});
        delta.emplace(field::function_call, std::move(kept));
      }
    }
    says_something = !delta.empty();
    out.emplace(field::delta, std::move(delta));
    out.emplace(field::logprobs, read_chat_logprobs(*given, out));
  } else {
    if (!move_member(*given, out, field::text, {json::kind::string})) out.emplace(field::text, "");
    says_something = !out.at(field::text).get_string().empty();
    out.emplace(field::logprobs, read_completion_logprobs(*given, out));
  }
  choice.started = true;
  if (says_something) ++pieces_;
  const auto reason = finish_reason_of(*given, choice.calls_tools);
  if (reason) {
    choice.finished = true;
    ++finished_;
    out.emplace(field::finish_reason, asked_ == Asked::chat ? *reason : without_calls(*reason));
  } else {
    out.emplace(field::finish_reason, nullptr);
    if (!says_something) return std::nullopt;
  }
  return value(std::move(out));
}

object ChunkReader::usage_chunk() const {
  object out;
  out.emplace(field::object, asked_ == Asked::chat ? chat_chunk_object : completion_object);
  out.emplace(field::choices, array());
  out.emplace(field::usage, usage_ ? *usage_ : zero_usage(pieces_));
  return out;
}

}  // namespace hearth::engine::upstream
