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

constexpr std::int64_t most_calls = 1000;  // of one choice

// ---- pieces of an answer

// nullopt while the choice goes on. Upstreams have names of their own; an aborted answer is no answer.
std::optional<FinishReason> finish_reason_of(const object& choice, bool calls_tools) {
  using enum FinishReason;
  const auto given = json::find_string(choice, field::finish_reason);
  if (!given || given->empty()) return std::nullopt;
  static constexpr std::array known{
      std::pair<std::string_view, FinishReason>{"stop", stop},
      std::pair<std::string_view, FinishReason>{"length", length},
      std::pair<std::string_view, FinishReason>{"tool_calls", tool_calls},
      std::pair<std::string_view, FinishReason>{"content_filter", content_filter},
      std::pair<std::string_view, FinishReason>{"function_call", function_call},
      std::pair<std::string_view, FinishReason>{"max_tokens", length},
      std::pair<std::string_view, FinishReason>{"model_length", length},
      std::pair<std::string_view, FinishReason>{"tool_use", tool_calls},
      std::pair<std::string_view, FinishReason>{"safety", content_filter},
      std::pair<std::string_view, FinishReason>{"recitation", content_filter}};
  for (const auto& [name, reason] : known) {
    if (*given == name) return reason;
  }
  if (*given == "abort" || *given == "error") throw unusable_answer();
  return calls_tools ? tool_calls : stop;  // eos, eos_token, end_turn, stop_sequence, …
}

FinishReason without_calls(FinishReason reason) {
  const bool calls = reason == FinishReason::tool_calls || reason == FinishReason::function_call;
  return calls ? FinishReason::stop : reason;
}

void read_text(const object& from, std::string_view name, std::string& out) {
  if (const auto text = json::find_string(from, name)) out = *text;
}

// Text, or a list of text parts as some upstreams write it.
void read_content(const object& from, std::string& out) {
  read_text(from, field::content, out);
  const array* parts = json::find_array(from, field::content);
  if (!parts) return;
  for (const value& part : *parts) {
    if (!part.is_object()) continue;
    if (const auto piece = json::find_string(part.get_object(), field::text)) out += *piece;
  }
}

// Under either of the names that upstreams have for it.
void read_reasoning(const object& from, std::string& out) {
  read_text(from, "reasoning_content", out);
  if (out.empty()) read_text(from, "reasoning", out);
}

void read_arguments(const object& function, std::string& out) {
  read_text(function, field::arguments, out);
  if (const object* written_out = json::find_object(function, field::arguments))
    out = json::write(*written_out);
}

std::string made_up_id(std::size_t index) {
  return fmt::format("call_{}", index);
}

// The calls of a whole message.
void read_calls(const array& from, std::vector<CallPiece>& out) {
  for (const value& entry : from) {
    const object* call = entry.if_object();
    const object* function = call ? json::find_object(*call, field::function) : nullptr;
    if (!function) throw unusable_answer();
    CallPiece& piece = out.emplace_back();
    piece.index = out.size() - 1;
    read_text(*call, field::id, piece.id);
    if (piece.id.empty()) piece.id = made_up_id(piece.index);
    read_text(*function, field::name, piece.name);
    read_arguments(*function, piece.arguments);
  }
}

bool has_members(const object& from, std::initializer_list<std::pair<std::string_view, json::kind>> members) {
  return std::ranges::all_of(members, [&](const auto& member) {
    const value* found = json::find(from, member.first);
    return found && found->kind() == member.second;
  });
}

object copy_members(const object& from, std::initializer_list<std::string_view> names) {
  object out;
  for (const std::string_view name : names)
    out.emplace(name, from.at(name));
  return out;
}

void read_annotations(const object& message, object& extras) {
  const array* given = json::find_array(message, field::annotations);
  if (!given) return;
  array annotations;
  for (const value& entry : *given) {
    const object* annotation = entry.if_object();
    const object* citation = annotation ? json::find_object(*annotation, field::url_citation) : nullptr;
    if (!citation || !has_members(*citation, {{field::start_index, json::kind::int64},
                                              {field::end_index, json::kind::int64},
                                              {field::url, json::kind::string},
                                              {field::title, json::kind::string}}))
      continue;
    object page = copy_members(*citation, {field::start_index, field::end_index, field::url, field::title});
    annotations.push_back({{field::type, field::url_citation}, {field::url_citation, std::move(page)}});
  }
  extras.emplace(field::annotations, std::move(annotations));
}

void read_audio(const object& message, object& extras) {
  const object* given = json::find_object(message, field::audio);
  if (!given || !has_members(*given, {{field::id, json::kind::string},
                                      {field::expires_at, json::kind::int64},
                                      {field::data, json::kind::string},
                                      {field::transcript, json::kind::string}}))
    return;
  extras.emplace(field::audio,
                 copy_members(*given, {field::id, field::expires_at, field::data, field::transcript}));
}

void read_message(const object& message, Delta& out) {
  read_content(message, out.text);
  read_text(message, field::refusal, out.refusal);
  read_reasoning(message, out.reasoning);
  if (const array* calls = json::find_array(message, field::tool_calls)) read_calls(*calls, out.calls);
  if (const object* call = json::find_object(message, field::function_call)) {
    CallPiece& piece = out.calls.emplace_back();
    piece.style = CallStyle::functions;
    read_text(*call, field::name, piece.name);
    read_arguments(*call, piece.arguments);
  }
  read_annotations(message, out.extras);
  read_audio(message, out.extras);
}

std::optional<std::int64_t> find_count(const object* from, std::string_view name) {
  const auto count = from ? json::find_integer(*from, name) : std::nullopt;
  return count && *count >= 0 ? count : std::nullopt;
}

TokenUsage read_usage(const object& given) {
  const object* prompt = json::find_object(given, field::prompt_tokens_details);
  const object* completion = json::find_object(given, field::completion_tokens_details);
  return {.prompt = find_count(&given, field::prompt_tokens).value_or(0),
          .completion = find_count(&given, field::completion_tokens).value_or(0),
          .cached_prompt = find_count(prompt, field::cached_tokens),
          .audio_prompt = find_count(prompt, field::audio_tokens),
          .audio_completion = find_count(completion, field::audio_tokens),
          .reasoning = find_count(completion, field::reasoning_tokens),
          .accepted_prediction = find_count(completion, field::accepted_prediction_tokens),
          .rejected_prediction = find_count(completion, field::rejected_prediction_tokens)};
}

value parse_into(std::string_view text, boost::json::storage_ptr memory) {
  unsigned char buffer[4096];
  boost::json::parse_options options;
  options.max_depth = json::max_depth;
  boost::json::parser parser({}, options, buffer);
  parser.reset(std::move(memory));
  boost::json::error_code error;
  parser.write(text.data(), text.size(), error);
  if (error) throw unusable_answer();
  return parser.release();
}

void check_error(const object& chunk) {
  const value* error = json::find(chunk, field::error);
  if (!error || error->is_null()) return;
  log_stream_error(*error);
  throw ApiError::unavailable("engine_unavailable", "The upstream of this model failed while it answered.");
}

}  // namespace

value parse_answer(std::string_view text) {
  return parse_into(
      text, boost::json::make_shared_resource<boost::json::monotonic_resource>(text.size() * 2 + 512));
}

WholeReply read_reply(value answer, Asked asked, std::size_t expected) {
  const object* from = answer.if_object();
  const array* choices = from ? json::find_array(*from, field::choices) : nullptr;
  if (!choices || choices->empty() || choices->size() > expected) throw unusable_answer();
  if (choices->size() < expected)
    throw ApiError::unsupported_value(
        fmt::format("The upstream of this model gave {} of the {} choices asked for.", choices->size(),
                    expected),
        std::string(field::n));
  WholeReply out;
  out.deltas.resize(choices->size());
  for (std::size_t position = 0; position < choices->size(); ++position) {
    const object* given = (*choices)[position].if_object();
    if (!given) throw unusable_answer();
    Delta& choice = out.deltas[position];
    choice.choice = index_of(*given, position, expected);
    if (asked == Asked::chat) {
      const object* message = json::find_object(*given, field::message);
      if (!message) throw unusable_answer();
      read_message(*message, choice);
      choice.logprobs = read_chat_logprobs(*given);
      const bool calls = json::find_array(*message, field::tool_calls) && !choice.calls.empty();
      choice.finish =
          finish_reason_of(*given, calls).value_or(calls ? FinishReason::tool_calls : FinishReason::stop);
    } else {
      const auto text = json::find_string(*given, field::text);
      if (!text) throw unusable_answer();
      choice.text = *text;
      std::int64_t offset = 0;
      choice.logprobs = read_completion_logprobs(*given, offset);
      choice.finish = without_calls(finish_reason_of(*given, false).value_or(FinishReason::stop));
    }
  }
  if (const object* usage = json::find_object(*from, field::usage)) out.usage = read_usage(*usage);
  read_text(*from, field::system_fingerprint, out.fingerprint);
  return out;
}

Delta& ChunkReader::next_delta() {
  if (used_ == deltas_.size()) deltas_.emplace_back();
  Delta& delta = deltas_[used_++];
  delta.clear();
  return delta;
}

std::span<Delta> ChunkReader::read(std::string_view data) {
  used_ = 0;
  // What is taken out of an event is copied into the deltas; most events need no other memory than this.
  unsigned char buffer[4096];
  boost::json::monotonic_resource memory(buffer, sizeof buffer);
  const value chunk = parse_into(data, &memory);
  const object* from = chunk.if_object();
  if (!from) throw unusable_answer();
  check_error(*from);
  if (const object* usage = json::find_object(*from, field::usage)) {
    usage_ = read_usage(*usage);
    reported_ = true;
  }
  if (const auto told = json::find_string(*from, field::system_fingerprint)) fingerprint_ = *told;
  if (const array* choices = json::find_array(*from, field::choices)) {
    for (std::size_t position = 0; position < choices->size(); ++position)
      read_choice((*choices)[position], position);
  }
  return {deltas_.data(), used_};
}

void ChunkReader::read_choice(const value& entry, std::size_t position) {
  const object* given = entry.if_object();
  if (!given) throw unusable_answer();
  const std::size_t index = index_of(*given, position, choices_.size());
  Choice& choice = choices_[index];
  if (choice.finished) return;
  Delta& out = next_delta();
  out.choice = index;
  if (asked_ == Asked::chat) {
    if (const object* piece = json::find_object(*given, field::delta)) read_delta(*piece, choice, out);
    out.logprobs = read_chat_logprobs(*given);
  } else {
    read_text(*given, field::text, out.text);
    out.logprobs = read_completion_logprobs(*given, choice.offset);
  }
  const bool says_something = out.says_something() || !out.reasoning.empty();
  if (!reported_ && says_something) ++usage_.completion;
  if (const auto reason = finish_reason_of(*given, !choice.calls.empty())) {
    choice.finished = true;
    ++finished_;
    out.finish = asked_ == Asked::chat ? *reason : without_calls(*reason);
  }
  const bool begins = asked_ == Asked::chat && !choice.started;
  choice.started = true;
  if (!begins && !out.finish && !says_something) --used_;
}

void ChunkReader::read_delta(const object& given, Choice& choice, Delta& out) {
  read_text(given, field::content, out.text);
  read_text(given, field::refusal, out.refusal);
  read_reasoning(given, out.reasoning);
  if (const array* calls = json::find_array(given, field::tool_calls)) {
    for (const value& entry : *calls) {
      const object* call = entry.if_object();
      if (!call) throw unusable_answer();
      const auto place =
          json::find_integer(*call, field::index).value_or(static_cast<std::int64_t>(out.calls.size()));
      if (place < 0 || place >= most_calls) throw unusable_answer();
      CallPiece& piece = out.calls.emplace_back();
      piece.index = static_cast<std::size_t>(place);
      const object* function = json::find_object(*call, field::function);
      if (function) read_arguments(*function, piece.arguments);
      if (piece.index >= choice.calls.size()) choice.calls.resize(piece.index + 1);
      // Some upstreams repeat the id and the name in every piece.
      Call& state = choice.calls[piece.index];
      if (!state.has_id) {
        read_text(*call, field::id, piece.id);
        if (piece.id.empty()) piece.id = made_up_id(piece.index);
        state.has_id = true;
      }
      if (function && !state.has_name) {
        read_text(*function, field::name, piece.name);
        state.has_name = !piece.name.empty();
      }
    }
  }
  if (const object* call = json::find_object(given, field::function_call)) {
    CallPiece& piece = out.calls.emplace_back();
    piece.style = CallStyle::functions;
    read_text(*call, field::name, piece.name);
    read_arguments(*call, piece.arguments);
  }
}

}  // namespace hearth::engine::upstream
