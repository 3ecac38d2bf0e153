#include "api/metadata.hpp"

namespace hearth::api {

store::Metadata read_metadata(const json::value& metadata) {
  store::Metadata out;
  if (!metadata.is_object()) return out;
  for (const auto& pair : metadata.get_object())
    out.emplace_back(std::string(pair.key()), std::string(json::view(pair.value().get_string())));
  return out;
}

json::object render_metadata(const store::Metadata& metadata) {
  json::object out;
  for (const auto& [name, value] : metadata)
    out.emplace(name, value);
  return out;
}

}  // namespace hearth::api
