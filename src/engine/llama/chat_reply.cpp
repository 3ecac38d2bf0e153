#include "contract/fields.hpp"
#include "engine/llama/chat.hpp"

namespace hearth::engine::llama {
namespace {

namespace field = contract::field;

FinishReason finish_of(const ChatPlan& plan, std::string_view reason) {
  using enum FinishReason;
  if (reason == "tool_calls") return plan.style == CallStyle::functions ? function_call : tool_calls;
  if (reason == "length") return length;
  return reason == "content_filter" ? content_filter : stop;
}

const json::object* first_choice(const json::object& reply) {
  const json::array* choices = json::find_array(reply, field::choices);
  return choices && !choices->empty() && choices->front().is_object() ? &choices->front().get_object()
                                                                      : nullptr;
}

const json::array* probabilities_of(const json::object& choice) {
  const json::object* logprobs = json::find_object(choice, field::logprobs);
  return logprobs ? json::find_array(*logprobs, field::content) : nullptr;
}

// Reads the calls of a whole message; with the older functions there is only one.
void read_whole_calls(const ChatPlan& plan, const json::array& calls, CallIds& ids, Delta& out) {
  const bool only_one = plan.style == CallStyle::functions || plan.calls == Calls::one;
  for (const json::value& item : calls) {
    const json::object* function =
        item.is_object() ? json::find_object(item.get_object(), field::function) : nullptr;
    if (!function) continue;
    CallPiece& piece = out.calls.emplace_back();
    piece.index = out.calls.size() - 1;
    piece.style = plan.style;
    piece.name = json::find_string(*function, field::name).value_or("");
    piece.arguments = json::find_string(*function, field::arguments).value_or("{}");
    if (plan.style == CallStyle::tools) {
      piece.id = json::find_string(item.get_object(), field::id).value_or("");
      if (piece.id.empty()) piece.id = ids.next();
    }
    if (only_one) return;
  }
}

// What a choice without any text tells of the probabilities that were asked for.
std::optional<Logprobs> no_text_logprobs(const ChatPlan& plan) {
  return plan.logprobs ? std::optional<Logprobs>(Logprobs()) : std::nullopt;
}

}  // namespace

Decision read_decision(const json::object& chunk) {
  const json::object* source = first_choice(chunk);
  if (!source) return Decision::open;
  if (const json::object* delta = json::find_object(*source, field::delta)) {
    if (has(*delta, field::tool_calls)) return Decision::call;
    if (!json::find_string(*delta, field::content).value_or("").empty()) return Decision::text;
  }
  return has(*source, field::finish_reason) ? Decision::text : Decision::open;
}

Delta read_chat_choice(const ChatPlan& plan, const json::object& reply, std::size_t choice, CallIds& ids) {
  Delta out;
  out.choice = choice;
  out.finish = FinishReason::stop;
  const json::object* source = first_choice(reply);
  const json::object* said = source ? json::find_object(*source, field::message) : nullptr;
  if (!said) return out;
  if (const json::array* calls = json::find_array(*said, field::tool_calls))
    read_whole_calls(plan, *calls, ids, out);
  out.text = json::find_string(*said, field::content).value_or("");
  out.reasoning = json::find_string(*said, "reasoning_content").value_or("");
  out.finish = finish_of(plan, json::find_string(*source, field::finish_reason).value_or("stop"));
  if (plan.logprobs)
    out.logprobs.emplace().text = read_chat_logprobs(probabilities_of(*source), *plan.logprobs);
  return out;
}

void ChatReader::read_calls(const json::array& calls, Delta& out) {
  for (const json::value& item : calls) {
    if (!item.is_object()) continue;
    const json::object& call = item.get_object();
    const auto index = json::find_integer(call, field::index).value_or(0);
    const bool extra = plan_.calls == Calls::one || plan_.style == CallStyle::functions;
    if (index < 0 || (extra && index > 0)) continue;
    const json::object* function = json::find_object(call, field::function);
    if (!function) continue;
    CallPiece& piece = out.calls.emplace_back();
    piece.index = static_cast<std::size_t>(index);
    piece.style = plan_.style;
    piece.arguments = json::find_string(*function, field::arguments).value_or("");
    const auto name = json::find_string(*function, field::name);
    if (!name) continue;
    piece.name = *name;
    if (plan_.style == CallStyle::functions) continue;
    piece.id = json::find_string(call, field::id).value_or("");
    if (piece.id.empty()) piece.id = ids_.next();
  }
}

void ChatReader::feed(const json::object& chunk, DeltaBuffer& out) {
  if (has(chunk, field::usage)) usage_ = read_usage(chunk);
  const json::object* source = first_choice(chunk);
  if (!source) return;
  if (!begun_) {
    begun_ = true;
    Delta& first = out.add(choice_);
    if (plan_.logprobs) first.logprobs.emplace().text.emplace();
  }
  if (const json::object* delta = json::find_object(*source, field::delta)) {
    const std::string_view content = json::find_string(*delta, field::content).value_or("");
    const std::string_view reasoning = json::find_string(*delta, "reasoning_content").value_or("");
    const json::array* probabilities = plan_.logprobs ? probabilities_of(*source) : nullptr;
    const json::array* calls = json::find_array(*delta, field::tool_calls);
    if (!content.empty() || !reasoning.empty() || probabilities) {
      Delta& piece = out.add(choice_);
      piece.text = content;
      piece.reasoning = reasoning;
      if (probabilities) piece.logprobs.emplace().text = read_chat_logprobs(probabilities, *plan_.logprobs);
    }
    if (calls && !calls->empty()) read_calls(*calls, out.add(choice_));
  }
  if (const auto reason = json::find_string(*source, field::finish_reason)) {
    finished_ = true;
    out.add(choice_).finish = finish_of(plan_, *reason);
  }
}

std::string ArgumentsReader::feed(std::string_view piece) {
  std::string out;
  for (const char c : piece) {
    if (feed(c)) out += c;
  }
  return out;
}

bool ArgumentsReader::feed(char c) {
  const bool within = depth_ > 0 && colons_ == 2;
  if (in_text_) {
    in_text_ = escaped_ || c != '"';
    escaped_ = c == '\\' && !escaped_;
    return within;
  }
  switch (c) {
    case '"':
      in_text_ = true;
      return within;
    case '{':
    case '[':
      ++depth_;
      return within;
    case '}':
    case ']':
      --depth_;
      return within && depth_ > 0;
    case ':':
      if (depth_ == 1) {
        ++colons_;
        return false;
      }
      return within;
    case ' ':
    case '\n':
    case '\t':
      return within && depth_ > 1;
    default:
      return within;
  }
}

// The original answers "stop" to a function that was named, since the model did not choose to call it.
FinishReason forced_finish(const ChatPlan& plan, const json::object& reply) {
  if (json::find_string(reply, wire::stop_type) == "limit") return FinishReason::length;
  return plan.named ? FinishReason::stop : finish_of(plan, "tool_calls");
}

// A forced call has no text, so there are no probabilities of text to give.
void begin_forced(const ChatPlan& plan, std::string_view name, CallIds& ids, Delta& out) {
  CallPiece& piece = out.calls.emplace_back();
  piece.style = plan.style;
  piece.name = name;
  if (plan.style == CallStyle::tools) piece.id = ids.next();
  out.logprobs = no_text_logprobs(plan);
}

void add_forced_piece(const ChatPlan& plan, std::string arguments, Delta& out) {
  CallPiece& piece = out.calls.emplace_back();
  piece.style = plan.style;
  piece.arguments = std::move(arguments);
}

Delta read_forced_choice(const ChatPlan& plan, std::string_view name, const json::object& arguments_reply,
                         std::size_t choice, CallIds& ids) {
  Delta out;
  out.choice = choice;
  begin_forced(plan, name, ids, out);
  out.calls.front().arguments =
      ArgumentsReader().feed(json::find_string(arguments_reply, field::content).value_or(""));
  out.finish = forced_finish(plan, arguments_reply);
  return out;
}

std::vector<Delta> split_choice(Delta choice) {
  std::vector<Delta> out;
  const auto add = [&]() -> Delta& {
    Delta& delta = out.emplace_back();
    delta.choice = choice.choice;
    return delta;
  };
  add();
  if (!choice.text.empty() || !choice.reasoning.empty() || choice.logprobs) {
    Delta& text = add();
    text.text = std::move(choice.text);
    text.reasoning = std::move(choice.reasoning);
    text.logprobs = std::move(choice.logprobs);
  }
  for (CallPiece& call : choice.calls)
    add().calls.push_back(std::move(call));
  add().finish = choice.finish;
  return out;
}

}  // namespace hearth::engine::llama
