// Errors as clients get them.
#pragma once

#include "base/api_error.hpp"
#include "json/json.hpp"
#include "net/http.hpp"

namespace hearth::api {

// {"error": {"message": …, "type": …, "param": …, "code": …}}
json::value render_error(const ApiError& error);

// What an error says in the header of its reply: who may authenticate how, when to come again, and whether
// that is in vain.
void add_error_headers(net::Headers& headers, const ApiError& error);

}  // namespace hearth::api
