// The gate: in test builds every reply, error and event is checked against the contract before it leaves.
//
// Compiled in with -DHEARTH_GATE=1 (CMake option HEARTH_GATE); otherwise each call is nothing. What was
// produced and what was wrong goes as JSON lines to the file that the environment variable HEARTH_GATE_LOG
// names, where `contractc gate` judges it: an implemented operation, documented error or event that no test
// produced fails CI.
//
// `validator` is that of the operation's contract. Called by api/ where replies are sent. Thread: any.
#pragma once

#include <string_view>

#include "contract/operation.hpp"
#include "contract/validator.hpp"
#include "json/json.hpp"

namespace hearth::contract::gate {

#ifdef HEARTH_GATE

// Throw ApiError 500 contract_violation when the reply or the event is not what the contract says.
void check_reply(const Validator& validator, const Operation& operation, int status, const json::value& body);
// Bytes or a text.
void check_bytes_reply(const Operation& operation, int status, std::string_view content_type);
void check_event(const Validator& validator, const Operation& operation, std::string_view event,
                 const json::value& data);
// An event that a server says over a socket, by its `type`.
void check_socket_event(const Validator& validator, const Operation& operation, const json::value& event);
// `operation` is null for a route that does not exist. A violation is logged only: the error is on its way
// already.
void check_error(const Validator& validator, const Operation* operation, int status, const json::value& body);
// The error's event in a stream that fails; as check_error.
void check_error_event(const Validator& validator, const Operation& operation, std::string_view event,
                       const json::value& data);

#else

inline void check_reply(const Validator&, const Operation&, int, const json::value&) {}
inline void check_bytes_reply(const Operation&, int, std::string_view) {}
inline void check_event(const Validator&, const Operation&, std::string_view, const json::value&) {}
inline void check_socket_event(const Validator&, const Operation&, const json::value&) {}
inline void check_error(const Validator&, const Operation*, int, const json::value&) {}
inline void check_error_event(const Validator&, const Operation&, std::string_view, const json::value&) {}

#endif

}  // namespace hearth::contract::gate
