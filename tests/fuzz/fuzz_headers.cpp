// HTTP messages: heads and bodies of any bytes, the same reading whatever the pieces; and the origins
// inside them. The first byte chooses the kind of message.
#include <array>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "net/http_client.hpp"
#include "net/http_parser.hpp"

namespace {

using namespace hearth::net;

// All that was read, as text to compare; ends with "[done]" for a complete message.
std::string parse(MessageKind kind, std::string_view text, std::size_t piece) {
  HttpParser parser(kind, 2048);
  std::string pending;
  std::string seen;
  std::size_t at = 0;
  bool head_seen = false;
  while (!parser.done()) {
    std::size_t consumed = 0;
    if (!parser.head_done()) {
      const auto step = parser.parse_head(pending);
      if (!step) return seen + "[failed]";
      consumed = *step;
    } else {
      if (!head_seen) {
        head_seen = true;
        const auto& headers =
            kind == MessageKind::request ? parser.request().headers : parser.response().headers;
        seen += parser.request().method + " " + parser.request().target + "\n";
        for (const auto& [name, value] : headers.entries()) {
          if (name.view().empty() || value.find_first_of("\r\n") != std::string::npos) std::abort();
          seen += std::string(name.view()) + ":" + value + "\n";
        }
      }
      std::array<char, 64> out;
      const auto step = parser.parse_body(pending, out);
      if (!step) return seen + "[failed]";
      if (step->consumed > pending.size() || step->produced > out.size()) std::abort();
      consumed = step->consumed;
      seen.append(out.data(), step->produced);
    }
    pending.erase(0, consumed);
    if (consumed > 0) continue;
    if (at >= text.size()) return seen + (parser.head_done() && parser.end_of_input() ? "[done]" : "[more]");
    pending += text.substr(at, piece);
    at += piece;
  }
  return seen + (parser.keep_alive() ? "[done]" : "[close][done]");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  constexpr std::array kinds{MessageKind::request, MessageKind::response, MessageKind::response_to_head};
  const auto kind = kinds[data[0] % kinds.size()];
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto bytes = parse(kind, text, 1);
  const auto whole = parse(kind, text, size);
  if (bytes.ends_with("[done]") != whole.ends_with("[done]")) std::abort();
  if (bytes.ends_with("[done]") && bytes != whole) std::abort();

  if (const auto origin = Origin::parse(text); origin && origin->scheme != "unix") {
    if (Origin::parse(origin->scheme + "://" + origin->host_header()) != origin) std::abort();
  }
  return 0;
}
