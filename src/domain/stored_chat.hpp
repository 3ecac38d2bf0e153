// From a request and its reply to what the stored-completion operations return.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "json/json.hpp"

namespace hearth::domain {

// The parameters of a request that a stored completion shows again, with who asked and by which request.
// Pure.
json::object describe_stored_parameters(const json::object& request, std::string_view request_id);

// The request's messages as StoredChatCompletionMessage without their ids. Pure.
std::vector<json::object> describe_stored_messages(const json::object& request);

}  // namespace hearth::domain
