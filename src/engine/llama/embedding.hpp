// Embeddings in llama-server's words, and its answer in the API's. Pure.
#pragma once

#include "engine/llama/wire.hpp"
#include "json/json.hpp"

namespace hearth::engine::llama {

// The server is always asked for base64: exact, and a tenth of the parsing.
json::object render_embedding_call(const json::object& request);
// Cuts to `dimensions` (and to length 1 again), and writes numbers or base64 as the request says. Throws
// ApiError when the model has fewer dimensions than asked for.
json::object render_embedding_reply(const json::object& request, const json::object& reply);

}  // namespace hearth::engine::llama
