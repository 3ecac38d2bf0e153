#include "domain/stored_chat.hpp"

#include "contract/fields.hpp"

namespace hearth::domain {

namespace field = contract::field;

json::object describe_stored_parameters(const json::object& request, std::string_view request_id) {
  json::object out;
  out[field::request_id] = request_id;
  const json::value* user = json::find(request, field::user);
  out[field::input_user] = user ? *user : json::value(nullptr);
  for (std::string_view name :
       {field::temperature, field::top_p, field::presence_penalty, field::frequency_penalty, field::seed,
        field::tools, field::tool_choice, field::response_format}) {
    const json::value* member = json::find(request, name);
    out[name] = member ? *member : json::value(nullptr);
  }
  return out;
}

std::vector<json::object> describe_stored_messages(const json::object& request) {
  std::vector<json::object> out;
  const json::array& messages = *json::find_array(request, field::messages);
  for (const json::value& entry : messages) {
    const json::object& message = entry.get_object();
    json::object stored;
    stored[field::role] = message.at(field::role);
    const json::value* content = json::find(message, field::content);
    stored[field::content] = content && content->is_string() ? *content : json::value(nullptr);
    if (content && content->is_array()) stored[field::content_parts] = *content;
    const json::value* refusal = json::find(message, field::refusal);
    stored[field::refusal] = refusal ? *refusal : json::value(nullptr);
    for (std::string_view name :
         {field::name, field::tool_call_id, field::tool_calls, field::function_call, field::audio}) {
      const json::value* member = json::find(message, name);
      if (member && !member->is_null()) stored[name] = *member;
    }
    out.push_back(std::move(stored));
  }
  return out;
}

}  // namespace hearth::domain
