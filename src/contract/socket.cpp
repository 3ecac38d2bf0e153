#include "contract/socket.hpp"

namespace hearth::contract {

std::string_view ClientEvent::id() const {
  const json::object* object = document.root().if_object();
  return object ? json::find_string(*object, "event_id").value_or("") : "";
}

}  // namespace hearth::contract
