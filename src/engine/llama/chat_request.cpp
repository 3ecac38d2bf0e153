#include <fmt/format.h>

#include "base/api_error.hpp"
#include "base/text.hpp"
#include "contract/fields.hpp"
#include "engine/llama/chat.hpp"
#include "engine/llama/schema.hpp"

namespace hearth::engine::llama {
namespace {

namespace field = contract::field;

void refuse_if_present(const json::object& request, std::string_view name, std::string_view what) {
  if (has(request, name)) {
    throw ApiError::unsupported_parameter(fmt::format("This model cannot {}.", what), std::string(name));
  }
}

void check_abilities(const json::object& request, const Traits& traits) {
  refuse_if_present(request, field::audio, "speak");
  refuse_if_present(request, field::web_search_options, "search the web");
  refuse_if_present(request, field::prediction, "make use of predicted output");
  if (const json::array* modalities = json::find_array(request, field::modalities)) {
    for (const json::value& modality : *modalities) {
      if (modality.is_string() && json::view(modality.get_string()) != "text") {
        throw ApiError::unsupported_value("This model only answers in text.", std::string(field::modalities));
      }
    }
  }
  const auto effort = json::find_string(request, field::reasoning_effort);
  if (effort && *effort != "medium" && !traits.has_effort) {  // medium is the default and asks for nothing
    throw ApiError::unsupported_parameter("This model's thinking cannot be adjusted.",
                                          std::string(field::reasoning_effort));
  }
}

// ---- messages

class MessageRenderer {
 public:
  MessageRenderer(const Traits& traits, json::array& images, std::vector<std::string>& ignored)
      : traits_(traits), images_(images), ignored_(ignored) {}

  json::array render(const json::array& messages) {
    json::array out;
    out.reserve(messages.size());
    for (std::size_t i = 0; i < messages.size(); ++i) {
      where_ = fmt::format("messages[{}]", i);
      out.emplace_back(render_message(messages[i].get_object()));
    }
    return out;
  }

 private:
  json::object render_message(const json::object& message) {
    const std::string_view role = *json::find_string(message, field::role);
    json::object out;
    out[field::role] = role == "function" ? std::string_view("tool") : role;
    if (has(message, field::name)) out[field::name] = *json::find_string(message, field::name);
    if (role == "function") out[field::tool_call_id] = last_call_;
    if (const auto id = json::find_string(message, field::tool_call_id)) out[field::tool_call_id] = *id;
    out[field::content] = render_content(message);
    if (role == "assistant") {
      if (has(message, field::audio)) {
        throw ApiError::unsupported_value("This model cannot refer to earlier spoken answers.",
                                          where_ + ".audio");
      }
      json::array calls = render_calls(message);
      if (!calls.empty()) out[field::tool_calls] = std::move(calls);
    }
    return out;
  }

  json::value render_content(const json::object& message) {
    const json::value* content = json::find(message, field::content);
    if (!content || content->is_null()) {
      // What the model said when it declined is part of the conversation.
      return json::value(json::find_string(message, field::refusal).value_or(""));
    }
    if (content->is_string()) return json::value(json::view(content->get_string()));
    json::array parts;
    std::size_t at = 0;
    for (const json::value& part : content->get_array()) {
      parts.emplace_back(render_part(part.get_object(), fmt::format("{}.content[{}]", where_, at++)));
    }
    return parts;
  }

  json::object render_part(const json::object& part, const std::string& where) {
    const std::string_view type = *json::find_string(part, field::type);
    json::object out;
    if (type == "text" || type == "refusal") {
      out[field::type] = "text";
      out[field::text] = json::find_string(part, type).value_or("");
      return out;
    }
    if (type != "image_url" || !traits_.sees) {
      throw ApiError::unsupported_value(
          fmt::format("The model '{}' cannot take content of the type '{}'.", traits_.model, type),
          where + ".type");
    }
    const json::object* image = json::find_object(part, field::image_url);
    const std::string_view url = *json::find_string(*image, field::url);
    // The projector looks at every image in the one way it was made for.
    if (json::find_string(*image, field::detail).value_or("auto") != "auto") {
      ignored_.push_back(where + ".image_url.detail");
    }
    images_.emplace_back(check_image(url, where + ".image_url.url"));
    json::object source;
    source[field::url] = url;
    out[field::type] = type;
    out[field::image_url] = std::move(source);
    return out;
  }

  // The base64 of a data URI. Addresses are refused: fetching them for a client would open the server's own
  // network to it.
  static std::string_view check_image(std::string_view url, const std::string& where) {
    constexpr std::string_view scheme = "data:image/";
    constexpr std::string_view coding = ";base64,";
    const auto comma = url.find(',');
    if (!url.starts_with(scheme) || comma == std::string_view::npos ||
        !url.substr(0, comma + 1).ends_with(coding)) {
      throw ApiError::unsupported_value("Images must be sent as data URIs: data:image/…;base64,….", where);
    }
    const std::string_view data = url.substr(comma + 1);
    if (data.empty() || !text::decode_base64(data)) {
      throw ApiError::invalid_request("invalid_base64", "The image is not valid base64.", where);
    }
    return data;
  }

  json::array render_calls(const json::object& message) {
    json::array out;
    if (const json::array* calls = json::find_array(message, field::tool_calls)) {
      std::size_t at = 0;
      for (const json::value& call : *calls) {
        const json::object& object = call.get_object();
        out.emplace_back(render_call(*json::find_object(object, field::function),
                                     *json::find_string(object, field::id),
                                     fmt::format("{}.tool_calls[{}].function.arguments", where_, at++)));
      }
    }
    if (const json::object* call = json::find_object(message, field::function_call)) {
      last_call_ = fmt::format("call_{}", ++calls_made_);
      out.emplace_back(render_call(*call, last_call_, where_ + ".function_call.arguments"));
    }
    return out;
  }

  static json::object render_call(const json::object& function, std::string_view id,
                                  const std::string& where) {
    const std::string_view arguments = json::find_string(function, field::arguments).value_or("");
    // Templates read the arguments as JSON.
    if (!arguments.empty() && !json::parse(arguments)) {
      throw ApiError::invalid_request("invalid_value", "The arguments of a call must be JSON.", where);
    }
    json::object called;
    called[field::name] = json::find_string(function, field::name).value_or("");
    called[field::arguments] = arguments.empty() ? std::string_view("{}") : arguments;
    json::object out;
    out[field::id] = id;
    out[field::type] = "function";
    out[field::function] = std::move(called);
    return out;
  }

  const Traits& traits_;
  json::array& images_;
  std::vector<std::string>& ignored_;
  std::string where_;
  std::string last_call_;  // the older form has no ids: a function message answers the call before it
  int calls_made_ = 0;
};

// ---- tools

json::object closed_object() {
  json::object out;
  out["type"] = "object";
  out["properties"] = json::object();
  out["additionalProperties"] = false;
  return out;
}

json::object render_function(const json::object& function) {
  json::object out;
  for (const std::string_view name : {field::name, field::description}) {
    if (const auto text = json::find_string(function, name)) out[name] = *text;
  }
  const json::object* parameters = json::find_object(function, field::parameters);
  out[field::parameters] = parameters ? json::value(*parameters) : json::value(closed_object());
  return out;
}

void check_parameters(const json::object& function, const json::object& parameters,
                      const std::string& where) {
  if (json::find_bool(function, field::strict).value_or(false)) {
    check_strict_schema(parameters, where);
  } else {
    check_loose_schema(parameters, where);  // the model reads all of it; only its size can be too much
  }
}

void plan_tools(ChatPlan& plan, const json::object& request, const Traits& traits) {
  const bool older = has(request, field::functions);
  const std::string_view list_name = older ? field::functions : field::tools;
  const json::array* list = json::find_array(request, list_name);
  if (!list || list->empty()) return;
  plan.style = older ? CallStyle::functions : CallStyle::tools;
  const std::string_view choice_name = older ? field::function_call : field::tool_choice;
  const auto choice = json::find_string(request, choice_name);
  if (choice == "none") return;  // not shown to the model either: it could not help but try
  if (!traits.calls_tools) {
    throw ApiError::unsupported_parameter(fmt::format("The model '{}' cannot call functions.", traits.model),
                                          std::string(list_name));
  }
  const json::object* named = json::find_object(request, choice_name);
  if (named && !older) named = json::find_object(*named, field::function);
  const auto wanted = named ? json::find_string(*named, field::name) : std::nullopt;

  if (named || choice == "required") {
    plan.rule = CallRule::forced;
  } else if (plan.body.contains(field::response_format)) {
    plan.rule = CallRule::decide;
  }

  json::array tools;
  std::size_t at = 0;
  for (const json::value& entry : *list) {
    const json::object& object = entry.get_object();
    const json::object& function = older ? object : *json::find_object(object, field::function);
    if (const json::object* parameters = json::find_object(function, field::parameters)) {
      check_parameters(function, *parameters,
                       older ? fmt::format("functions[{}].parameters", at)
                             : fmt::format("tools[{}].function.parameters", at));
    }
    ++at;
    json::object rendered = render_function(function);
    const std::string name(json::find_string(function, field::name).value_or(""));
    if (plan.rule != CallRule::free && wanted.value_or(name) == name) {
      plan.callable.push_back({name, rendered.at(field::parameters).get_object()});
    }
    json::object tool;
    tool[field::type] = "function";
    tool[field::function] = std::move(rendered);
    tools.emplace_back(std::move(tool));
  }
  plan.named = wanted.has_value();
  plan.offers_tools = true;
  const bool parallel = json::find_bool(request, field::parallel_tool_calls).value_or(true);
  plan.calls = older || !parallel ? Calls::one : Calls::many;
  plan.body[field::parallel_tool_calls] = plan.calls == Calls::many;
  plan.body[field::tools] = std::move(tools);
}

void plan_format(ChatPlan& plan, const json::object& request) {
  const json::object* format = json::find_object(request, field::response_format);
  if (!format) return;
  const std::string_view type = *json::find_string(*format, field::type);
  if (type == "text") return;
  json::object out;
  out[field::type] = type;
  if (type == "json_schema") {
    const json::object& wrapper = *json::find_object(*format, field::json_schema);
    const json::object* schema = json::find_object(wrapper, field::schema);
    const bool strict = json::find_bool(wrapper, field::strict).value_or(false);
    if (schema && strict) {
      check_strict_schema(*schema, "response_format.json_schema.schema");
    } else if (schema) {
      for (std::string& path : check_loose_schema(*schema, "response_format.json_schema.schema"))
        plan.ignored.push_back(std::move(path));
    }
    // The server shows the model neither the schema nor what is said about it.
    if (has(wrapper, field::description))
      plan.ignored.emplace_back("response_format.json_schema.description");
    json::object inner;
    inner[field::schema] = schema ? json::value(*schema) : json::value(json::object());
    out[field::json_schema] = std::move(inner);
  }
  plan.body[field::response_format] = std::move(out);
}

void note_without_effect(ChatPlan& plan, const json::object& request) {
  if (plan.logprobs && plan.rule == CallRule::forced) {
    plan.ignored.emplace_back(field::logprobs);  // a forced call has no text
  }
  const std::string_view tier = json::find_string(request, field::service_tier).value_or("auto");
  if (tier != "auto" && tier != "default") plan.ignored.emplace_back(field::service_tier);
}

}  // namespace

ChatPlan plan_chat(const json::object& request, const Traits& traits) {
  check_abilities(request, traits);
  ChatPlan plan;
  plan.sampling = plan_sampling(request, traits);
  plan.call_prefix = traits.call_prefix;
  plan.choices = static_cast<std::size_t>(json::find_integer(request, field::n).value_or(1));
  if (json::find_bool(request, field::logprobs).value_or(false)) {
    plan.logprobs = json::find_integer(request, field::top_logprobs).value_or(0);
  }
  plan.max_tokens = read_max_tokens(request, field::max_completion_tokens, traits);
  if (!plan.max_tokens) plan.max_tokens = read_max_tokens(request, field::max_tokens, traits);
  plan.body[field::messages] =
      MessageRenderer(traits, plan.images, plan.ignored).render(*json::find_array(request, field::messages));
  if (traits.has_effort) {
    if (const auto effort = json::find_string(request, field::reasoning_effort))
      plan.body[field::reasoning_effort] = *effort;
  }
  plan_format(plan, request);
  plan_tools(plan, request, traits);
  note_without_effect(plan, request);
  return plan;
}

json::object render_chat_call(const ChatPlan& plan, std::size_t choice, Delivery delivery) {
  json::object body = sampling_body(plan.sampling, choice);
  for (const auto& member : plan.body)
    body[member.key()] = member.value();
  if (plan.max_tokens) body[field::max_tokens] = *plan.max_tokens;
  if (plan.logprobs) {
    body[field::logprobs] = true;
    body[field::top_logprobs] =
        std::max<std::int64_t>(1, *plan.logprobs);  // none would mean no probabilities at all
  }
  body[field::stream] = delivery == Delivery::streamed;
  if (delivery == Delivery::streamed) {
    json::object options;
    options[field::include_usage] = true;
    body[field::stream_options] = std::move(options);
  }
  return body;
}

json::object render_decision_call(const ChatPlan& plan, std::size_t choice) {
  json::object body = render_chat_call(plan, choice, Delivery::streamed);
  body.erase(field::response_format);
  body.erase(field::logprobs);  // refused in a stream with tools
  body.erase(field::top_logprobs);
  return body;
}

// ---- forced calls

namespace {

constexpr std::int64_t longest_name = 80;  // tokens; names have at most 64 characters

json::value render_prompt(const ChatPlan& plan, std::string text) {
  if (plan.images.empty()) return json::value(text);
  json::object prompt;
  prompt[wire::prompt_string] = text;
  prompt[wire::multimodal_data] = plan.images;
  return prompt;
}

// References are from the root, and the schema of the arguments no longer is it.
void move_references(json::value& schema) {
  if (json::array* list = schema.if_array()) {
    for (json::value& each : *list)
      move_references(each);
    return;
  }
  json::object* object = schema.if_object();
  if (!object) return;
  for (auto& [key, value] : *object) {
    if (key == "$ref" && value.is_string()) {
      const std::string_view reference = json::view(value.get_string());
      if (reference.starts_with("#")) value = fmt::format("#/properties/arguments{}", reference.substr(1));
    } else if (key == "properties" || key == "$defs" || key == "definitions") {
      if (json::object* named = value.if_object()) {
        for (auto& entry : *named)
          move_references(entry.value());
      }
    } else if (key != "const" && key != "enum") {
      move_references(value);
    }
  }
}

// The model writes the whole object, its known beginning too. Where a prompt ended inside it, the last token
// would seldom be one that the model would have written there ("{" and the space before it are often one),
// and what follows would be worse for it.
json::object schema_of_call(const AllowedFunction& function) {
  json::object name;
  name["const"] = function.name;
  json::value arguments = function.parameters;
  move_references(arguments);
  json::object schema = closed_object();
  json::object& properties = schema.at("properties").get_object();
  properties[field::name] = std::move(name);
  properties[field::arguments] = std::move(arguments);
  schema["required"] = json::array{field::name, field::arguments};
  return schema;
}

json::array raw_fields() {
  return {field::content,         wire::stop_type, wire::tokens_evaluated,
          wire::tokens_predicted, wire::cache_n,   field::stop};
}

}  // namespace

json::object render_template_call(const ChatPlan& plan) {
  json::object body;
  body[field::messages] = plan.body.at(field::messages);
  body[field::tools] = plan.body.at(field::tools);
  json::object arguments;
  arguments["enable_thinking"] = false;  // the answer begins with the call
  body["chat_template_kwargs"] = std::move(arguments);
  return body;
}

json::object render_name_call(const ChatPlan& plan, std::size_t choice) {
  json::object body = sampling_body(plan.sampling, choice);
  body.erase(field::stop);
  body[field::prompt] =
      render_prompt(plan, fmt::format("{}{}{{\"name\": \"", plan.forced_prompt, plan.call_prefix));
  std::string grammar = "root ::= ";
  for (const AllowedFunction& function : plan.callable) {
    if (&function != &plan.callable.front()) grammar += " | ";
    grammar += fmt::format("\"{}\"", function.name);
  }
  body[wire::grammar] = grammar;
  body[wire::n_predict] = longest_name;
  body[wire::response_fields] = raw_fields();
  return body;
}

json::object render_arguments_call(const ChatPlan& plan, std::string_view name, std::size_t choice,
                                   Delivery delivery) {
  json::object body = sampling_body(plan.sampling, choice);
  body.erase(field::stop);  // stop sequences are about text, and would break the JSON
  body[field::prompt] = render_prompt(plan, plan.forced_prompt + plan.call_prefix);
  for (const AllowedFunction& function : plan.callable) {
    if (function.name == name) body[field::json_schema] = schema_of_call(function);
  }
  if (plan.max_tokens) body[wire::n_predict] = *plan.max_tokens;
  body[wire::response_fields] = raw_fields();
  body[field::stream] = delivery == Delivery::streamed;
  return body;
}

}  // namespace hearth::engine::llama
