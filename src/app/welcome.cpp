#include "app/welcome.hpp"

#include <string_view>

#include <fmt/format.h>

namespace hearth::app {
namespace {

std::string keys_part(const BootstrapFacts& facts) {
  if (facts.api_key.empty()) return "  Authentication is off: any key is accepted.\n";
  return fmt::format(
      "  API key    {}\n"
      "  Admin key  {}\n"
      "\n"
      "  The keys are shown only once, and only their hashes are stored: keep them in a safe place.\n",
      facts.api_key, facts.admin_key);
}

constexpr std::string_view question_for(Subject subject) {
  return subject == Subject::hearth ? "How do I add a model?" : "Hello!";
}

std::string snippets(const BootstrapFacts& facts, std::string_view key, std::string_view question) {
  return fmt::format(R"(curl:
  curl {0}/chat/completions -H "Authorization: Bearer {1}" \
    -H "Content-Type: application/json" \
    -d '{{"model": "{2}", "messages": [{{"role": "user", "content": "{3}"}}]}}'

Python (pip install openai):
  from openai import OpenAI
  client = OpenAI(base_url="{0}", api_key="{1}")
  reply = client.chat.completions.create(model="{2}", messages=[{{"role": "user", "content": "{3}"}}])
  print(reply.choices[0].message.content)

Node (npm install openai):
  import OpenAI from "openai";
  const client = new OpenAI({{ baseURL: "{0}", apiKey: "{1}" }});
  const reply = await client.chat.completions.create({{
    model: "{2}", messages: [{{ role: "user", content: "{3}" }}] }});
  console.log(reply.choices[0].message.content);
)",
                     facts.base_url, key, facts.default_model, question);
}

}  // namespace

std::string render_welcome(const BootstrapFacts& facts, Subject subject) {
  std::string out = fmt::format("\nHearth is running.\n\n  Base URL   {}\n", facts.base_url);
  if (!facts.default_model.empty()) out += fmt::format("  Model      {}\n", facts.default_model);
  out += keys_part(facts);
  if (facts.default_model.empty()) {
    return out + "\nNo model is registered yet: hearth models add --help, hearth models pull --help.\n";
  }
  if (subject == Subject::hearth) {
    out += fmt::format(
        "\n  The model {} is small and knows one subject, Hearth: ask it how things are done here.\n"
        "  hearth models pull fetches one that knows more.\n",
        facts.default_model);
  }
  const std::string_view key = facts.api_key.empty() ? std::string_view("none") : facts.api_key;
  return out + "\n" + snippets(facts, key, question_for(subject));
}

}  // namespace hearth::app
