// Message heads as text. Private to net/.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/api_error.hpp"
#include "net/http.hpp"

namespace hearth::net {

// Appends "name: value\r\n" for each header, except those that frame the message (Content-Length,
// Transfer-Encoding, Connection, Keep-Alive): their values come from whoever frames it. Line breaks in a
// value become spaces, so that no value can end the head.
void append_headers(std::string& out, const Headers& headers);
void append_header(std::string& out, std::string_view name, std::string_view value);
void append_header(std::string& out, std::string_view name, std::uint64_t value);

// "HTTP/1.1 200 OK\r\n" and the Date.
void append_status_line(std::string& out, int status);

// Whether the header's comma-separated list names `token`.
bool has_token(std::string_view list, std::string_view token);

// The body of an error reply: {"error":{message,type,param,code}}.
std::string render_error_body(const ApiError& error);

}  // namespace hearth::net
