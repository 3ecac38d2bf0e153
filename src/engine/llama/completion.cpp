#include "engine/llama/completion.hpp"

#include <algorithm>
#include <numeric>

#include "base/api_error.hpp"
#include "contract/fields.hpp"

namespace hearth::engine::llama {
namespace {

namespace field = contract::field;

constexpr double forcing_bias = 1e9;
constexpr std::int64_t default_max_tokens = 16;

std::vector<json::value> read_prompts(const json::object& request) {
  const json::value* prompt = json::find(request, field::prompt);
  std::vector<json::value> out;
  if (!prompt || prompt->is_null()) {
    out.emplace_back("");
  } else if (prompt->is_string()) {
    out.emplace_back(json::view(prompt->get_string()));
  } else {
    const json::array& list = prompt->get_array();
    if (list.empty()) {
      throw ApiError::invalid_request("invalid_value", "'prompt' must not be empty.",
                                      std::string(field::prompt));
    }
    if (json::as_integer(list.front())) {
      out.emplace_back(json::array(list, {}));
    } else {
      for (const json::value& item : list)
        out.emplace_back(json::value(item, {}));
    }
  }
  return out;
}

FinishReason finish_of(const json::object& reply) {
  return json::find_string(reply, wire::stop_type) == "limit" ? FinishReason::length : FinishReason::stop;
}

void add_probabilities(CompletionLogprobs& logprobs, const json::object& reply) {
  const json::array* list = json::find_array(reply, wire::completion_probabilities);
  if (!list) return;
  for (const json::value& entry : *list) {
    if (entry.is_object()) logprobs.add(entry.get_object());
  }
}

void add_echo(CompletionLogprobs& logprobs, const PromptEcho& echo) {
  for (const PromptToken& token : echo.tokens) {
    logprobs.add_echo(token.bytes, token.probability.empty() ? nullptr : &token.probability);
  }
}

}  // namespace

CompletionPlan plan_completion(const json::object& request, const Traits& traits) {
  CompletionPlan plan;
  plan.sampling = plan_sampling(request, traits);
  plan.fresh_document = traits.end_of_text;
  plan.prompts = read_prompts(request);
  plan.n = static_cast<std::size_t>(json::find_integer(request, field::n).value_or(1));
  plan.best_of =
      std::max(plan.n, static_cast<std::size_t>(json::find_integer(request, field::best_of).value_or(1)));
  plan.logprobs = json::find_integer(request, field::logprobs);
  plan.max_tokens = read_max_tokens(request, field::max_tokens, traits).value_or(default_max_tokens);
  if (json::find_bool(request, field::echo).value_or(false)) {
    plan.echo = plan.logprobs ? Echo::text_and_logprobs : Echo::text;
  }
  if (const auto suffix = json::find_string(request, field::suffix); suffix && !suffix->empty()) {
    plan.suffix = std::string(*suffix);
    const auto is_text = [](const json::value& prompt) { return prompt.is_string(); };
    if (!std::ranges::all_of(plan.prompts, is_text)) {
      throw ApiError::unsupported_value("A 'suffix' needs a prompt that is text, not tokens.",
                                        std::string(field::prompt));
    }
  }
  return plan;
}

std::string_view completion_path(const CompletionPlan& plan) {
  return plan.suffix ? wire::infill_path : wire::completion_path;
}

json::object render_completion_call(const CompletionPlan& plan, std::size_t call, Delivery delivery) {
  const json::value& prompt = plan.prompts[call / plan.best_of];
  json::object body = sampling_body(plan.sampling, call % plan.best_of);
  if (plan.suffix) {
    body[wire::input_prefix] = prompt;
    body[wire::input_suffix] = *plan.suffix;
    body[field::prompt] = "";
  } else if (prompt.is_string() && prompt.get_string().empty()) {
    body[field::prompt] = plan.fresh_document;  // a fresh document
  } else {
    body[field::prompt] = prompt;
  }
  body[wire::n_predict] = plan.max_tokens;
  // Choosing the best needs the probability of each token too.
  if (plan.logprobs || plan.best_of > plan.n) {
    body[wire::n_probs] = std::max<std::int64_t>(1, plan.logprobs.value_or(1));
  }
  body[field::stream] = delivery == Delivery::streamed;
  body[wire::response_fields] = {field::content,
                                 field::stop,
                                 wire::stop_type,
                                 wire::tokens_evaluated,
                                 wire::tokens_predicted,
                                 wire::cache_n,
                                 wire::completion_probabilities};
  return body;
}

json::object render_forced_token_call(const json::array& before, std::int64_t next, std::int64_t top) {
  json::object body;
  body[field::prompt] = before;
  body[wire::n_predict] = 1;
  body[wire::n_probs] = std::max<std::int64_t>(1, top);
  body[field::temperature] = 0;
  body[wire::cache_prompt] = true;
  json::array pair{next, forcing_bias};
  json::array bias;
  bias.emplace_back(std::move(pair));
  body[field::logit_bias] = std::move(bias);
  body[wire::response_fields] = {wire::completion_probabilities};
  return body;
}

Generated read_generated(const CompletionPlan& plan, const json::object& reply, const PromptEcho& echo) {
  Generated out;
  if (plan.echo != Echo::without) out.delta.text = echo.text;
  out.delta.text += json::find_string(reply, field::content).value_or("");
  out.delta.finish = finish_of(reply);
  CompletionLogprobs logprobs(plan.logprobs.value_or(0));
  if (plan.echo == Echo::text_and_logprobs) add_echo(logprobs, echo);
  add_probabilities(logprobs, reply);
  if (logprobs.count() > 0) out.mean_logprob = logprobs.sum() / static_cast<double>(logprobs.count());
  if (plan.logprobs) out.delta.logprobs = logprobs.take();
  return out;
}

Generated echo_only(const CompletionPlan& plan, const PromptEcho& echo) {
  Generated out;
  if (plan.echo != Echo::without) out.delta.text = echo.text;
  out.delta.finish = FinishReason::length;
  if (plan.logprobs) {
    CompletionLogprobs logprobs(*plan.logprobs);
    if (plan.echo == Echo::text_and_logprobs) add_echo(logprobs, echo);
    out.delta.logprobs = logprobs.take();
  }
  return out;
}

void add_choices(const CompletionPlan& plan, std::size_t prompt, std::vector<Generated> generated,
                 std::vector<Delta>& choices) {
  if (plan.best_of > plan.n) {
    std::ranges::sort(generated, std::greater{}, &Generated::mean_logprob);
    generated.resize(plan.n);
  }
  for (std::size_t i = 0; i < generated.size(); ++i) {
    choices.push_back(std::move(generated[i].delta));
    choices.back().choice = prompt * plan.n + i;
  }
}

void CompletionReader::say(std::string_view text, std::optional<FinishReason> finish, DeltaBuffer& out) {
  Delta& delta = out.add(choice_);
  delta.text = text;
  delta.finish = finish;
  if (!plan_.logprobs || (logprobs_.empty() && (told_logprobs_ || !finish))) return;
  delta.logprobs = logprobs_.take();
  told_logprobs_ = true;
}

void CompletionReader::begin(const PromptEcho& echo, DeltaBuffer& out) {
  if (plan_.echo == Echo::text_and_logprobs) add_echo(logprobs_, echo);
  say(echo.text, std::nullopt, out);
}

void CompletionReader::feed(const json::object& event, DeltaBuffer& out) {
  if (plan_.logprobs) add_probabilities(logprobs_, event);
  const std::string_view text = json::find_string(event, field::content).value_or("");
  if (!event.contains(wire::stop_type)) {
    if (!text.empty()) say(text, std::nullopt, out);
    return;
  }
  finished_ = true;
  usage_ = read_usage(event);
  say(text, finish_of(event), out);
}

void CompletionReader::end_without_text(DeltaBuffer& out) {
  finished_ = true;
  say("", FinishReason::length, out);
}

}  // namespace hearth::engine::llama
