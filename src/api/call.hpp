// A validated request as handlers of the API get it.
#pragma once

#include "contract/call.hpp"
#include "contract/used.hpp"

namespace hearth::api {

// Built by the pipeline, lives until the reply's last byte. Thread: the session's.
struct Call : contract::Call {
  // What the engines used for it.
  contract::Used used;
};

}  // namespace hearth::api
