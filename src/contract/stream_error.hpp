// How a stream that fails tells its client: the event that the contract names for the operation, or by
// default the error's body as data without a name.
#pragma once

#include <cstdint>
#include <string_view>

#include "contract/operation.hpp"
#include "contract/validator.hpp"
#include "json/json.hpp"

namespace hearth::contract {

struct StreamError {
  std::string_view event;
  json::value data;
};

// `body` is {"error": {"message", "type", "param", "code"}}; `events_sent` those before this one, which gives
// its sequence_number where the schema has one. Thread: any.
StreamError stream_error(const Validator& validator, const Operation& operation, const json::value& body,
                         std::int64_t events_sent);

}  // namespace hearth::contract
