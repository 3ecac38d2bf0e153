#include "domain/chat_accumulator.hpp"

#include "contract/fields.hpp"

namespace hearth::domain {
namespace {

namespace field = contract::field;

// `function.arguments` and `function.name` come in pieces; everything else once.
void append_function(json::object& function, const json::object& piece) {
  for (std::string_view name : {field::name, field::arguments}) {
    const auto text = json::find_string(piece, name);
    if (!text) continue;
    json::value& member = function[name];
    if (!member.is_string()) member = json::string();
    member.get_string().append(*text);
  }
}

}  // namespace

void ChatAccumulator::add(const json::object& chunk) {
  for (std::string_view name :
       {field::id, field::created, field::model, field::service_tier, field::system_fingerprint}) {
    if (const json::value* member = json::find(chunk, name)) head_[name] = *member;
  }
  const json::array* choices = json::find_array(chunk, field::choices);
  if (!choices) return;
  for (const json::value& entry : *choices) {
    const json::object& piece = entry.get_object();
    Choice& choice = choices_[json::find_integer(piece, field::index).value_or(0)];
    if (const json::object* delta = json::find_object(piece, field::delta)) add_delta(choice, *delta);
    if (const auto reason = json::find_string(piece, field::finish_reason)) choice.finish_reason = *reason;
    if (const json::object* logprobs = json::find_object(piece, field::logprobs)) {
      choice.has_logprobs = true;
      if (const json::array* tokens = json::find_array(*logprobs, field::content)) {
        choice.logprobs.insert(choice.logprobs.end(), tokens->begin(), tokens->end());
      }
    }
  }
}

void ChatAccumulator::add_delta(Choice& choice, const json::object& delta) {
  if (const auto text = json::find_string(delta, field::content)) {
    choice.has_content = true;
    choice.content += *text;
  }
  if (const auto text = json::find_string(delta, field::refusal)) {
    choice.has_refusal = true;
    choice.refusal += *text;
  }
  if (const json::object* call = json::find_object(delta, field::function_call)) {
    append_function(choice.function_call, *call);
  }
  const json::array* calls = json::find_array(delta, field::tool_calls);
  if (!calls) return;
  for (const json::value& entry : *calls) {
    const json::object& piece = entry.get_object();
    json::object& call = choice.tool_calls[json::find_integer(piece, field::index).value_or(0)];
    for (std::string_view name : {field::id, field::type}) {
      if (const json::value* member = json::find(piece, name)) call[name] = *member;
    }
    if (const json::object* function = json::find_object(piece, field::function)) {
      json::value& whole = call[field::function];
      if (!whole.is_object()) whole = json::object();
      append_function(whole.get_object(), *function);
    }
  }
}

json::object ChatAccumulator::finish(json::value usage) {
  json::array choices;
  for (auto& [index, choice] : choices_) {
    json::object message{{field::role, "assistant"}};
    message[field::content] = choice.has_content ? json::value(choice.content) : json::value(nullptr);
    message[field::refusal] = choice.has_refusal ? json::value(choice.refusal) : json::value(nullptr);
    if (!choice.tool_calls.empty()) {
      json::array calls;
      for (auto& [position, call] : choice.tool_calls)
        calls.push_back(std::move(call));
      message[field::tool_calls] = std::move(calls);
    }
    if (!choice.function_call.empty()) message[field::function_call] = std::move(choice.function_call);
    json::value logprobs = nullptr;
    if (choice.has_logprobs) {
      logprobs = {{field::content, std::move(choice.logprobs)}, {field::refusal, nullptr}};
    }
    choices.push_back({{field::index, index},
                       {field::message, std::move(message)},
                       {field::logprobs, std::move(logprobs)},
                       {field::finish_reason, choice.finish_reason}});
  }
  json::object out;
  for (auto& member : head_) {
    out.emplace(member.key(), std::move(member.value()));
    if (member.key() == field::id) out[field::object] = "chat.completion";
  }
  out[field::choices] = std::move(choices);
  if (usage.is_object()) out[field::usage] = std::move(usage);
  return out;
}

}  // namespace hearth::domain
