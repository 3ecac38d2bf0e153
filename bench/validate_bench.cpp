// How long a chat request of about 13 KB takes to validate. Limit: 10 µs. Beside it, for scale, parsing the
// same text.
#include <string>

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include "contract/schemas.hpp"
#include "contract/validator.hpp"
#include "json/json.hpp"

namespace {

using namespace hearth;  // NOLINT: a program of one file

std::string words(std::size_t length) {
  std::string text;
  while (text.size() < length)
    text += "The quick brown fox jumps over the lazy dog and looks back. ";
  text.resize(length);
  return text;
}

// 40 messages: a developer's, then turns with content parts, tool calls and their results; two tools.
std::string chat_request() {
  json::array messages;
  messages.push_back({{"role", "developer"}, {"content", words(600)}});
  for (int turn = 0; turn < 13; ++turn) {
    messages.push_back(
        {{"role", "user"},
         {"content",
          {{{"type", "text"}, {"text", words(300)}},
           {{"type", "image_url"},
            {"image_url", {{"url", "https://example.org/picture.png"}, {"detail", "low"}}}}}}});
    const std::string id = fmt::format("call_{:02}", turn);
    messages.push_back(
        {{"role", "assistant"},
         {"content", nullptr},
         {"tool_calls",
          {{{"id", id},
            {"type", "function"},
            {"function", {{"name", "look_up"}, {"arguments", R"({"place":"Ulm","unit":"C"})"}}}}}}});
    messages.push_back({{"role", "tool"}, {"tool_call_id", id}, {"content", words(240)}});
  }
  const json::value parameters = {{"type", "object"}, {"properties", {{"place", {{"type", "string"}}}}}};
  const json::value function = {{"name", "look_up"}, {"description", words(100)}, {"parameters", parameters}};
  const json::value tool = {{"type", "function"}, {"function", function}};
  return json::write({{"model", "gpt-4o"},
                      {"messages", std::move(messages)},
                      {"tools", {tool, tool}},
                      {"tool_choice", "auto"},
                      {"temperature", 0.7},
                      {"top_p", 1},
                      {"max_completion_tokens", 512},
                      {"stream", true},
                      {"stream_options", {{"include_usage", true}}},
                      {"metadata", {{"origin", "bench"}}}});
}

void validate_chat_request(benchmark::State& state) {
  const std::string text = chat_request();
  const auto document = json::Document::parse(text);
  const contract::SchemaId schema = contract::SchemaId::create_chat_completion_request;
  if (auto violation = contract::validate(schema, document->root(), contract::Strictness::request)) {
    state.SkipWithError(violation->message.c_str());
  }
  for (auto _ : state) {
    benchmark::DoNotOptimize(contract::validate(schema, document->root(), contract::Strictness::request));
  }
  state.counters["bytes"] = static_cast<double>(text.size());
}
BENCHMARK(validate_chat_request);

void parse_chat_request(benchmark::State& state) {
  const std::string text = chat_request();
  for (auto _ : state)
    benchmark::DoNotOptimize(json::Document::parse(text));
  state.counters["bytes"] = static_cast<double>(text.size());
}
BENCHMARK(parse_chat_request);

}  // namespace

BENCHMARK_MAIN();
