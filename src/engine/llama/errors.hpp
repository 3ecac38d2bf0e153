// llama-server's errors in the API's words. Its bodies have no `param`, integer codes, and 500 for much that
// is the caller's fault.
#pragma once

#include <string_view>

#include "base/api_error.hpp"
#include "json/json.hpp"

namespace hearth::engine::llama {

// What the server was asked for: decides which parameter an error is about.
enum class Asked { chat, completion, infill, embedding, internal };

// `body` is the text of a reply with an error status.
ApiError error_from_reply(int status, std::string_view body, Asked asked);
// `error` is the object of an event that ends a stream: {"code", "message", "type"}.
ApiError error_from_event(const json::object& error, Asked asked);
// The server ended, or closed the connection, while it worked.
ApiError engine_lost();

}  // namespace hearth::engine::llama
