#include "engine/llama/echo.hpp"

#include "contract/fields.hpp"

namespace hearth::engine::llama {
namespace {

namespace field = contract::field;

enum class Start { plain, with_token };

// The tokens of a prompt; with_token: including the one that the model starts every text with.
Task<json::array> tokenize(const CompletionJob& job, const json::value& prompt, Start start) {
  if (prompt.is_array()) co_return json::array(prompt.get_array(), {});
  json::object body;
  body[field::content] = prompt;
  body["add_special"] = start == Start::with_token;
  body["parse_special"] = true;
  json::object reply = co_await job.client.post(wire::tokenize_path, body, job.call, Asked::completion);
  const json::array* tokens = json::find_array(reply, field::tokens);
  co_return tokens ? json::array(*tokens, {}) : json::array();
}

Task<std::string> detokenize(const CompletionJob& job, json::array tokens) {
  json::object body;
  body[field::tokens] = std::move(tokens);
  const json::object reply =
      co_await job.client.post(wire::detokenize_path, body, job.call, Asked::completion);
  co_return std::string(json::find_string(reply, field::content).value_or(""));
}

Task<PromptToken> rate_token(const CompletionJob& job, const json::array& tokens, std::size_t at) {
  const json::array before(tokens.begin(), tokens.begin() + static_cast<std::ptrdiff_t>(at));
  PromptToken out;
  out.id = json::as_integer(tokens[at]).value_or(0);
  const json::object reply = co_await job.client.post(
      wire::completion_path, render_forced_token_call(before, out.id, job.plan.logprobs.value_or(0)),
      job.call, Asked::completion);
  const json::array* rated = json::find_array(reply, wire::completion_probabilities);
  if (rated && !rated->empty() && rated->front().is_object()) {
    out.probability = json::object(rated->front().get_object(), {});
    if (const json::array* bytes = json::find_array(out.probability, field::bytes)) {
      for (const json::value& byte : *bytes)
        out.bytes.push_back(static_cast<char>(json::as_integer(byte).value_or(0)));
    }
  }
  co_return out;
}

Task<void> rate_prompt(const CompletionJob& job, const json::value& prompt, PromptEcho& echo) {
  const json::array tokens = co_await tokenize(job, prompt, Start::with_token);
  const json::array plain = co_await tokenize(job, prompt, Start::plain);
  const std::size_t lead = tokens.size() - std::min(tokens.size(), plain.size());
  for (std::size_t at = lead; at < tokens.size(); ++at) {
    if (at == lead) {
      PromptToken first;
      first.id = json::as_integer(tokens[at]).value_or(0);
      first.bytes = co_await detokenize(job, json::array{tokens[at]});
      echo.tokens.push_back(std::move(first));
    } else {
      echo.tokens.push_back(co_await rate_token(job, tokens, at));
    }
  }
}

}  // namespace

Task<void> prepare(CompletionJob& job) {
  for (const json::value& prompt : job.plan.prompts) {
    PromptEcho& echo = job.echoes.emplace_back();
    if (job.plan.echo != Echo::without) {
      if (prompt.is_string()) {
        echo.text = json::view(prompt.get_string());
      } else {
        echo.text = co_await detokenize(job, json::array(prompt.get_array(), {}));
      }
    }
    if (job.plan.echo == Echo::text_and_logprobs) co_await rate_prompt(job, prompt, echo);
    if (!job.plan.generates()) {
      const json::array tokens = co_await tokenize(job, prompt, Start::with_token);
      job.prompt_tokens.push_back(static_cast<std::int64_t>(tokens.size()));
    }
  }
}

}  // namespace hearth::engine::llama
