// The adapter to llama-server (llama.cpp v0.5.0): a Backend over one running server process.
//
// What the server gets wrong against the API is made good here and in the files beside it, most of
// which are pure (JSON in, JSON out) and tested without a process:
//
//   request ─▶ plan (chat, completion, embedding) ─▶ one server call per choice ─▶ merge
//
// A plan holds what the calls of one request share. Choices run side by side, at most as many as the server
// has slots; a streamed reply reads them in turn, so its chunks interleave by index.
#pragma once

#include <memory>
#include <set>
#include <string>

#include "engine/backend.hpp"
#include "engine/catalogue/model.hpp"
#include "net/http_client.hpp"

namespace hearth::engine {

// `origin` is where the server listens; it must be up. `model` is the name that messages to the client use.
// Owned by the engine registry, one per child process; a new process gets a new backend. Thread: any; the
// backend is used from every executor of the runtime.
std::unique_ptr<Backend> make_llama_backend(net::Origin origin, std::string model,
                                            std::set<Capability> capabilities);

}  // namespace hearth::engine
