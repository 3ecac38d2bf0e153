#include "contract/stream_error.hpp"

namespace hearth::contract {

StreamError stream_error(const Validator& validator, const Operation& operation, const json::value& body,
                         std::int64_t events_sent) {
  const EventForm& form = operation.error_event;
  const SchemaTables& tables = validator.tables();
  if (form.schema == tables.error_schema) return {form.name, body};
  const json::object& error = body.get_object().at("error").get_object();
  json::object data;
  const Node& object = validator.node(form.schema);
  for (const Field& field : tables.fields.subspan(object.first, object.count)) {
    const Node& node = tables.nodes[field.node];
    const json::value* own = error.if_contains(field.name);
    if ((node.flags & node_flag::has_enum) != 0 && node.count == 1) {
      data.emplace(field.name, tables.values[node.first].text);
    } else if (field.name == "sequence_number") {
      data.emplace(field.name, events_sent);
    } else if (own != nullptr && (!own->is_null() || (node.flags & node_flag::nullable) != 0)) {
      data.emplace(field.name, *own);
    }
  }
  return {form.name, std::move(data)};
}

}  // namespace hearth::contract
