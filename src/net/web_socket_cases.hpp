// What a WebSocket must make of a client's bytes, after the groups of the Autobahn test suite. The parser's
// test gives them to the parser in pieces of several sizes, the socket's test to a server that echoes.
#pragma once

#include <string>
#include <vector>

namespace hearth::net::testing {

// The longest message that the sockets of the cases take.
inline constexpr std::size_t case_message_bytes = 100'000;

struct SocketCase {
  std::string name;
  std::string bytes;
  // "text:…", "binary:…", "ping:…", "pong:…", "close:CODE:REASON", "failed:CODE"; nothing follows the last
  // two.
  std::vector<std::string> expected;
};

std::vector<SocketCase> socket_cases();

}  // namespace hearth::net::testing
