#include "domain/token_estimate.hpp"

#include <algorithm>
#include <array>
#include <string_view>

namespace hearth::domain {
namespace {

constexpr std::int64_t bytes_per_token = 4;
constexpr std::int64_t tokens_per_message = 4;
constexpr std::int64_t tokens_per_image = 512;
constexpr std::int64_t sound_bytes_per_token = 3200;
constexpr std::int64_t most = std::int64_t{1} << 40;  // keeps the products of absurd requests in range

// What a model is given to read. Other members of a request steer, and cost nothing.
constexpr std::array<std::string_view, 9> read_members{
    "messages", "prompt", "suffix", "input", "instructions", "tools", "functions", "response_format", "text"};
constexpr std::array<std::string_view, 3> output_limits{"max_completion_tokens", "max_tokens",
                                                        "max_output_tokens"};

struct Reading {
  std::int64_t text_bytes = 0;
  std::int64_t tokens = 0;

  void read(const json::value& value) {
    if (const json::string* text = value.if_string()) {
      text_bytes += static_cast<std::int64_t>(text->size());
    } else if (value.is_number()) {
      ++tokens;  // of a list of tokens; the few numbers of schemas count alike
    } else if (const json::array* array = value.if_array()) {
      for (const json::value& item : *array)
        read(item);
    } else if (const json::object* object = value.if_object()) {
      read(*object);
    }
  }

  void read(const json::object& object) {
    // Members of that name elsewhere, in the schema of a tool say, are text like any other.
    const auto type = json::find_string(object, "type");
    if (type == "image_url" || type == "input_image") {
      tokens += tokens_per_image;
      return;
    }
    const json::object* sound = type == "input_audio" ? json::find_object(object, "input_audio") : nullptr;
    if (sound) {
      const auto data = json::find_string(*sound, "data").value_or("");
      tokens += static_cast<std::int64_t>(data.size()) * 3 / 4 / sound_bytes_per_token + 1;
      return;
    }
    if (object.contains("role")) tokens += tokens_per_message;
    for (const auto& member : object) {
      if (member.key() == "file_data") continue;  // read by nobody here before it has become text
      if (member.value().is_number()) continue;
      read(member.value());
    }
  }
};

// A list of texts or of token lists is as many prompts.
std::int64_t prompts_in(const json::object& request) {
  const json::array* prompts = json::find_array(request, "prompt");
  if (!prompts || prompts->empty() || (*prompts)[0].is_number()) return 1;
  return static_cast<std::int64_t>(std::min<std::size_t>(prompts->size(), 4096));
}

std::int64_t estimate_output(const json::object& request, std::int64_t context) {
  std::int64_t each = default_output_tokens;
  for (const std::string_view name : output_limits) {
    if (const auto given = json::find_integer(request, name)) {
      each = std::clamp<std::int64_t>(*given, 0, most);
      break;
    }
  }
  if (context > 0) each = std::min(each, context);
  const std::int64_t choices = std::max(json::find_integer(request, "n").value_or(1),
                                        json::find_integer(request, "best_of").value_or(1));
  return std::min(most, each * std::clamp<std::int64_t>(choices, 1, 1024) * prompts_in(request));
}

}  // namespace

TokenEstimate estimate_tokens(const json::object& request, Generates generates, std::int64_t context) {
  Reading reading;
  for (const std::string_view name : read_members) {
    if (const json::value* value = json::find(request, name)) reading.read(*value);
  }
  TokenEstimate estimate;
  estimate.prompt = reading.tokens + (reading.text_bytes + bytes_per_token - 1) / bytes_per_token;
  if (generates == Generates::text) estimate.output = estimate_output(request, context);
  return estimate;
}

}  // namespace hearth::domain
