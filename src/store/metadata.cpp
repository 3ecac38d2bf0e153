#include "store/metadata.hpp"

#include "json/json.hpp"

namespace hearth::store {

std::string Kept<Metadata>::write(const Metadata& metadata) {
  json::object object;
  for (const auto& [name, value] : metadata)
    object[name] = value;
  return json::write(object);
}

Metadata Kept<Metadata>::read(const db::Row& row, std::size_t column) {
  Metadata metadata;
  const auto parsed = json::parse(row.get<std::string_view>(column));
  if (!parsed || !parsed->is_object())
    throw db::Error(db::ErrorKind::unavailable, "the metadata of an object is damaged");
  for (const auto& member : parsed->get_object()) {
    if (const json::string* value = member.value().if_string())
      metadata.emplace_back(std::string(member.key()), std::string(json::view(*value)));
  }
  return metadata;
}

}  // namespace hearth::store
