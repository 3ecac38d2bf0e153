#include "contract/fields.hpp"
#include "engine/llama/chat.hpp"

namespace hearth::engine::llama {
namespace {

namespace field = contract::field;

json::value finish_of(const ChatPlan& plan, std::string_view reason) {
  if (reason == "tool_calls" && plan.style == CallStyle::functions) return "function_call";
  return reason == "length" || reason == "tool_calls" || reason == "content_filter" ? json::value(reason)
                                                                                    : json::value("stop");
}

json::object render_function_call(std::string_view name, std::string_view arguments) {
  json::object out;
  out[field::name] = name;
  out[field::arguments] = arguments;
  return out;
}

json::object render_tool_call(std::string id, std::string_view name, std::string_view arguments) {
  json::object out;
  out[field::id] = std::move(id);
  out[field::type] = "function";
  out[field::function] = render_function_call(name, arguments);
  return out;
}

json::object new_message() {
  json::object out;
  out[field::role] = "assistant";
  out[field::content] = nullptr;
  out[field::refusal] = nullptr;
  return out;
}

// Where calls go in a message: `tool_calls`, or the older single `function_call`.
void put_calls(const ChatPlan& plan, json::object& message, const json::array& calls, CallIds& ids) {
  json::array out;
  for (const json::value& item : calls) {
    if (!item.is_object()) continue;
    const json::object* function = json::find_object(item.get_object(), field::function);
    if (!function) continue;
    const std::string_view name = json::find_string(*function, field::name).value_or("");
    const std::string_view arguments = json::find_string(*function, field::arguments).value_or("{}");
    if (plan.style == CallStyle::functions) {
      message[field::function_call] = render_function_call(name, arguments);
      return;
    }
    std::string id(json::find_string(item.get_object(), field::id).value_or(""));
    out.emplace_back(render_tool_call(id.empty() ? ids.next() : std::move(id), name, arguments));
    if (plan.calls == Calls::one) break;
  }
  if (!out.empty()) message[field::tool_calls] = std::move(out);
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

json::object render_choice(std::size_t index, json::object message, json::value logprobs,
                           json::value finish) {
  json::object out;
  out[field::index] = index;
  out[field::message] = std::move(message);
  out[field::logprobs] = std::move(logprobs);
  out[field::finish_reason] = std::move(finish);
  return out;
}

// A forced call has no text, so there are no probabilities of text to give.
json::value no_text_logprobs(const ChatPlan& plan) {
  if (!plan.logprobs) return nullptr;
  json::object out;
  out[field::content] = nullptr;
  out[field::refusal] = nullptr;
  return out;
}

// The original answers "stop" to a function that was named, since the model did not choose to call it.
std::string_view forced_finish(const ChatPlan& plan, const json::object& reply) {
  if (json::find_string(reply, wire::stop_type) == "limit") return "length";
  return plan.named ? "stop" : "tool_calls";
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

json::object render_chat_choice(const ChatPlan& plan, const json::object& reply, std::size_t choice,
                                CallIds& ids) {
  const json::object* source = first_choice(reply);
  const json::object* said = source ? json::find_object(*source, field::message) : nullptr;
  json::object message = new_message();
  json::value logprobs;
  std::string_view reason = "stop";
  if (said) {
    if (const json::array* calls = json::find_array(*said, field::tool_calls))
      put_calls(plan, message, *calls, ids);
    const std::string_view content = json::find_string(*said, field::content).value_or("");
    const bool calls = message.contains(field::tool_calls) || message.contains(field::function_call);
    if (!content.empty() || !calls) message[field::content] = content;
    reason = json::find_string(*source, field::finish_reason).value_or("stop");
    if (plan.logprobs) logprobs = render_chat_logprobs(probabilities_of(*source), *plan.logprobs);
  }
  return render_choice(choice, std::move(message), std::move(logprobs), finish_of(plan, reason));
}

json::object render_forced_choice(const ChatPlan& plan, std::string_view name,
                                  const json::object& arguments_reply, std::size_t choice, CallIds& ids) {
  const std::string arguments =
      ArgumentsReader().feed(json::find_string(arguments_reply, field::content).value_or(""));
  json::object message = new_message();
  if (plan.style == CallStyle::functions) {
    message[field::function_call] = render_function_call(name, arguments);
  } else {
    json::array calls;
    calls.emplace_back(render_tool_call(ids.next(), name, arguments));
    message[field::tool_calls] = std::move(calls);
  }
  return render_choice(choice, std::move(message), no_text_logprobs(plan),
                       finish_of(plan, forced_finish(plan, arguments_reply)));
}

// ---- chunks

json::object render_chat_chunk(std::size_t choice, json::object delta, json::value logprobs,
                               json::value finish) {
  json::object entry;
  entry[field::index] = choice;
  entry[field::delta] = std::move(delta);
  entry[field::logprobs] = std::move(logprobs);
  entry[field::finish_reason] = std::move(finish);
  json::array choices;
  choices.emplace_back(std::move(entry));
  json::object out;
  out[field::choices] = std::move(choices);
  return out;
}

namespace {

json::object begin_delta(json::value content) {
  json::object delta;
  delta[field::role] = "assistant";
  delta[field::content] = std::move(content);
  delta[field::refusal] = nullptr;
  return delta;
}

json::object call_delta(CallStyle style, std::int64_t index, std::optional<std::string> id,
                        std::optional<std::string_view> name, std::optional<std::string_view> arguments) {
  json::object function;
  if (name) function[field::name] = *name;
  if (arguments) function[field::arguments] = *arguments;
  json::object delta;
  if (style == CallStyle::functions) {
    delta[field::function_call] = std::move(function);
    return delta;
  }
  json::object call;
  call[field::index] = index;
  if (id) {
    call[field::id] = std::move(*id);
    call[field::type] = "function";
  }
  call[field::function] = std::move(function);
  json::array calls;
  calls.emplace_back(std::move(call));
  delta[field::tool_calls] = std::move(calls);
  return delta;
}

}  // namespace

json::object ChatChunker::wrap(json::object delta, json::value logprobs, json::value finish) const {
  return render_chat_chunk(choice_, std::move(delta), std::move(logprobs), std::move(finish));
}

void ChatChunker::add_calls(const json::array& calls, std::vector<json::object>& out) {
  for (const json::value& item : calls) {
    if (!item.is_object()) continue;
    const json::object& call = item.get_object();
    const auto index = json::find_integer(call, field::index).value_or(0);
    if (plan_.calls == Calls::one && index > 0) continue;
    const json::object* function = json::find_object(call, field::function);
    if (!function) continue;
    const auto name = json::find_string(*function, field::name);
    auto arguments = json::find_string(*function, field::arguments);
    std::optional<std::string> id;
    if (name) {
      id = std::string(json::find_string(call, field::id).value_or(""));
      if (id->empty()) id = ids_.next();
      if (!arguments) arguments = "";
    }
    out.push_back(wrap(call_delta(plan_.style, index, std::move(id), name, arguments), nullptr, nullptr));
  }
}

std::vector<json::object> ChatChunker::feed(const json::object& chunk) {
  std::vector<json::object> out;
  if (has(chunk, field::usage)) usage_ = read_usage(chunk);
  const json::object* source = first_choice(chunk);
  if (!source) return out;
  if (!begun_) {
    begun_ = true;
    out.push_back(wrap(begin_delta(""), nullptr, nullptr));
  }
  if (const json::object* delta = json::find_object(*source, field::delta)) {
    const std::string_view content = json::find_string(*delta, field::content).value_or("");
    const json::array* probabilities = plan_.logprobs ? probabilities_of(*source) : nullptr;
    if (!content.empty() || probabilities) {
      json::object piece;
      piece[field::content] = content;
      json::value logprobs;
      if (probabilities) logprobs = render_chat_logprobs(probabilities, *plan_.logprobs);
      out.push_back(wrap(std::move(piece), std::move(logprobs), nullptr));
    }
    if (const json::array* calls = json::find_array(*delta, field::tool_calls)) add_calls(*calls, out);
  }
  if (const auto reason = json::find_string(*source, field::finish_reason)) {
    finished_ = true;
    out.push_back(wrap({}, nullptr, finish_of(plan_, *reason)));
  }
  return out;
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

json::object render_forced_begin(const ChatPlan& plan, std::string_view name, std::size_t choice,
                                 CallIds& ids) {
  json::object delta = begin_delta(nullptr);
  for (auto& member : call_delta(plan.style, 0, ids.next(), name, ""))
    delta.emplace(member.key(), std::move(member.value()));
  return render_chat_chunk(choice, std::move(delta), nullptr, nullptr);
}

json::object render_forced_piece(const ChatPlan& plan, std::string_view arguments, std::size_t choice) {
  return render_chat_chunk(choice, call_delta(plan.style, 0, std::nullopt, std::nullopt, arguments), nullptr,
                           nullptr);
}

json::object render_forced_end(const ChatPlan& plan, const json::object& last_event, std::size_t choice) {
  return render_chat_chunk(choice, {}, nullptr, finish_of(plan, forced_finish(plan, last_event)));
}

std::vector<json::object> split_choice(const json::object& choice) {
  const auto index = static_cast<std::size_t>(json::find_integer(choice, field::index).value_or(0));
  const json::object& message = *json::find_object(choice, field::message);
  std::vector<json::object> out;
  out.push_back(render_chat_chunk(index, begin_delta(""), nullptr, nullptr));
  if (has(message, field::content)) {
    json::object piece;
    piece[field::content] = message.at(field::content);
    out.push_back(render_chat_chunk(index, std::move(piece), choice.at(field::logprobs), nullptr));
  }
  if (const json::array* calls = json::find_array(message, field::tool_calls)) {
    std::int64_t at = 0;
    for (const json::value& item : *calls) {
      const json::object& call = item.get_object();
      const json::object& function = *json::find_object(call, field::function);
      out.push_back(render_chat_chunk(
          index,
          call_delta(CallStyle::tools, at++, std::string(*json::find_string(call, field::id)),
                     json::find_string(function, field::name), json::find_string(function, field::arguments)),
          nullptr, nullptr));
    }
  }
  if (const json::object* call = json::find_object(message, field::function_call)) {
    out.push_back(render_chat_chunk(
        index,
        call_delta(CallStyle::functions, 0, std::nullopt, json::find_string(*call, field::name),
                   json::find_string(*call, field::arguments)),
        nullptr, nullptr));
  }
  out.push_back(render_chat_chunk(index, {}, nullptr, choice.at(field::finish_reason)));
  return out;
}

}  // namespace hearth::engine::llama
