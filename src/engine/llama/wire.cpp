#include "engine/llama/wire.hpp"

#include <fmt/format.h>

#include "base/api_error.hpp"
#include "contract/fields.hpp"

namespace hearth::engine::llama {

namespace field = contract::field;

bool has(const json::object& object, std::string_view name) {
  return !json::is_absent_or_null(object, name);
}

Traits read_traits(std::string model, const json::object& props, const json::object& models) {
  Traits traits;
  traits.model = std::move(model);
  traits.slots = static_cast<std::uint32_t>(
      std::max<std::int64_t>(1, json::find_integer(props, "total_slots").value_or(1)));
  if (const auto* defaults = json::find_object(props, "default_generation_settings")) {
    traits.context =
        static_cast<std::uint32_t>(json::find_integer(*defaults, "n_ctx").value_or(traits.context));
  }
  if (const auto* modalities = json::find_object(props, field::modalities)) {
    traits.sees = json::find_bool(*modalities, "vision").value_or(false);
  }
  if (const auto* caps = json::find_object(props, "chat_template_caps")) {
    traits.calls_tools = json::find_bool(*caps, "supports_tools").value_or(false);
    traits.has_effort = json::find_bool(*caps, "supports_reasoning_effort").value_or(false);
  }
  const std::string_view chat_template = json::find_string(props, "chat_template").value_or("");
  if (chat_template.find("<tool_call>") != std::string_view::npos) traits.call_prefix = "<tool_call>\n";
  traits.end_of_text = json::find_string(props, "eos_token").value_or("");
  const json::array* list = json::find_array(models, field::data);
  if (list && !list->empty() && list->front().is_object()) {
    if (const auto* meta = json::find_object(list->front().get_object(), "meta")) {
      traits.vocabulary = json::find_integer(*meta, "n_vocab").value_or(0);
    }
  }
  return traits;
}

std::optional<std::int64_t> read_max_tokens(const json::object& request, std::string_view name,
                                            const Traits& traits) {
  const auto wanted = json::find_integer(request, name);
  if (wanted && *wanted > traits.context) {
    throw ApiError::invalid_request(
        "invalid_value",
        fmt::format("'{}' is too large: {}. The model '{}' has a context of {} tokens.", name, *wanted,
                    traits.model, traits.context),
        std::string(name));
  }
  return wanted;
}

Usage read_usage(const json::object& reply) {
  Usage usage;
  if (const json::object* counted = json::find_object(reply, field::usage)) {
    usage.prompt = json::find_integer(*counted, field::prompt_tokens).value_or(0);
    usage.completion = json::find_integer(*counted, field::completion_tokens).value_or(0);
    if (const json::object* details = json::find_object(*counted, field::prompt_tokens_details)) {
      usage.cached = json::find_integer(*details, field::cached_tokens).value_or(0);
    }
    return usage;
  }
  usage.prompt = json::find_integer(reply, wire::tokens_evaluated).value_or(0);
  usage.completion = json::find_integer(reply, wire::tokens_predicted).value_or(0);
  usage.cached = json::find_integer(reply, wire::cache_n).value_or(0);
  return usage;
}

TokenUsage to_token_usage(const Usage& usage) {
  return {.prompt = usage.prompt,
          .completion = usage.completion,
          .cached_prompt = std::min(usage.cached, usage.prompt)};
}

}  // namespace hearth::engine::llama
