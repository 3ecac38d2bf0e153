#include "domain/chat_rules.hpp"

#include <set>
#include <string>

#include <fmt/format.h>

#include "base/api_error.hpp"
#include "contract/fields.hpp"

namespace hearth::domain {
namespace {

namespace field = contract::field;

[[noreturn]] void refuse(std::string message, std::string param) {
  throw ApiError::invalid_request("invalid_value", std::move(message), std::move(param));
}

void check_messages(const json::array& messages) {
  std::set<std::string, std::less<>> open_calls;  // ids of calls that the next tool messages may answer
  for (std::size_t i = 0; i < messages.size(); ++i) {
    const json::object& message = messages[i].get_object();
    const std::string_view role = *json::find_string(message, field::role);
    if (role == "tool") {
      const std::string_view id = *json::find_string(message, field::tool_call_id);
      if (open_calls.empty()) {
        refuse("A message with role 'tool' must follow an assistant message with 'tool_calls'.",
               fmt::format("messages[{}].role", i));
      }
      if (!open_calls.contains(id)) {
        refuse(fmt::format("No tool call with the id '{}' precedes this message.", id),
               fmt::format("messages[{}].tool_call_id", i));
      }
      continue;
    }
    open_calls.clear();
    if (role != "assistant") continue;
    const json::array* calls = json::find_array(message, field::tool_calls);
    if (calls) {
      for (const json::value& call : *calls) {
        open_calls.emplace(*json::find_string(call.get_object(), field::id));
      }
    }
    const bool has_content = !json::is_absent_or_null(message, field::content);
    const bool has_other =
        (calls && !calls->empty()) || !json::is_absent_or_null(message, field::function_call) ||
        !json::is_absent_or_null(message, field::refusal) || !json::is_absent_or_null(message, field::audio);
    if (!has_content && !has_other) {
      throw ApiError::invalid_request("missing_required_parameter",
                                      "An assistant message needs 'content' unless it calls tools.",
                                      fmt::format("messages[{}].content", i));
    }
  }
}

void check_content_parts(const json::array& messages, const engine::Model& model) {
  for (std::size_t i = 0; i < messages.size(); ++i) {
    const json::array* parts = json::find_array(messages[i].get_object(), field::content);
    if (!parts) continue;
    for (std::size_t k = 0; k < parts->size(); ++k) {
      const std::string_view type = *json::find_string((*parts)[k].get_object(), field::type);
      const bool sees = model.capabilities.contains(engine::Capability::vision);
      if (type == "text" || type == "refusal" || (type == "image_url" && sees)) continue;
      throw ApiError::unsupported_value(
          fmt::format("The model '{}' cannot take content of the type '{}'.", model.id, type),
          fmt::format("messages[{}].content[{}].type", i, k));
    }
  }
}

void check_names(const json::object& request, std::string_view list, std::string_view choice) {
  const json::object* chosen = json::find_object(request, choice);
  if (!chosen) return;
  const bool is_tool = choice == field::tool_choice;
  const json::object* named = is_tool ? json::find_object(*chosen, field::function) : chosen;
  const std::string_view name = *json::find_string(*named, field::name);
  const json::array* entries = json::find_array(request, list);
  for (const json::value& entry : *entries) {
    const json::object& object = entry.get_object();
    const json::object& function = is_tool ? *json::find_object(object, field::function) : object;
    if (json::find_string(function, field::name) == name) return;
  }
  refuse(fmt::format("'{}' is not among the functions of '{}'.", name, list),
         fmt::format("{}{}.name", choice, is_tool ? ".function" : ""));
}

void check_tools(const json::object& request, const engine::Model& model) {
  const bool tools = !json::is_absent_or_null(request, field::tools);
  const bool functions = !json::is_absent_or_null(request, field::functions);
  if ((tools || functions) && !model.capabilities.contains(engine::Capability::tools)) {
    throw ApiError::unsupported_parameter(fmt::format("The model '{}' cannot call tools.", model.id),
                                          std::string(tools ? field::tools : field::functions));
  }
  if (tools && functions) refuse("Use either 'tools' or the older 'functions', not both.", "functions");
  if (tools) check_names(request, field::tools, field::tool_choice);
  if (functions) check_names(request, field::functions, field::function_call);
  const json::array* list = json::find_array(request, field::tools);
  if (list && list->empty() && !json::is_absent_or_null(request, field::tool_choice)) {
    refuse("'tool_choice' needs at least one tool in 'tools'.", "tool_choice");
  }
}

void check_stream_options(const json::object& request) {
  const bool streams = json::find_bool(request, field::stream).value_or(false);
  if (!streams && !json::is_absent_or_null(request, field::stream_options)) {
    refuse("'stream_options' is only allowed when 'stream' is true.", "stream_options");
  }
}

}  // namespace

void check_chat_request(const json::object& request, const engine::Model& model) {
  check_stream_options(request);
  if (!json::find_bool(request, field::logprobs).value_or(false) &&
      !json::is_absent_or_null(request, field::top_logprobs)) {
    refuse("'top_logprobs' is only allowed when 'logprobs' is true.", "top_logprobs");
  }
  if (!json::is_absent_or_null(request, field::max_tokens) &&
      !json::is_absent_or_null(request, field::max_completion_tokens)) {
    refuse("Set either 'max_completion_tokens' or the older 'max_tokens', not both.", "max_tokens");
  }
  check_tools(request, model);
  const json::array& messages = *json::find_array(request, field::messages);
  check_messages(messages);
  check_content_parts(messages, model);
}

void check_completion_request(const json::object& request, const engine::Model& model) {
  if (!json::find_string(request, field::suffix).value_or("").empty() &&
      !model.capabilities.contains(engine::Capability::infill)) {
    throw ApiError::unsupported_parameter(
        fmt::format("The model '{}' cannot fill a gap before a suffix.", model.id),
        std::string(field::suffix));
  }
  check_stream_options(request);
  const auto n = json::find_integer(request, field::n).value_or(1);
  const auto best_of = json::find_integer(request, field::best_of);
  if (best_of && *best_of < n) {
    refuse(fmt::format("'best_of' ({}) must be at least 'n' ({}).", *best_of, n), "best_of");
  }
  if (best_of && *best_of > 1 && json::find_bool(request, field::stream).value_or(false)) {
    refuse("'best_of' above 1 cannot be streamed.", "best_of");
  }
}

}  // namespace hearth::domain
