#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>

#include <openssl/evp.h>
#include <openssl/sha.h>

#include "base/api_error.hpp"
#include "base/text.hpp"
#include "net/web_socket.hpp"

namespace hearth::net {
namespace {

constexpr std::string_view served_version = "13";
constexpr std::size_t key_bytes = 16;
constexpr std::size_t most_subprotocols = 32;

[[noreturn]] void refuse(std::string message) {
  throw ApiError::invalid_request("invalid_websocket_handshake", std::move(message));
}

[[noreturn]] void demand_upgrade(std::string message) {
  throw ApiError(426, "invalid_request_error", "upgrade_required", std::move(message));
}

// The values of all headers of that name as one list.
std::vector<std::string_view> list_of(const Headers& headers, std::string_view name) {
  std::vector<std::string_view> items;
  for (const auto& [entry, value] : headers.entries()) {
    if (!text::equals_ignore_case(entry.view(), name)) continue;
    for (std::string_view rest = value;;) {
      const auto comma = rest.find(',');
      std::string_view item = rest.substr(0, comma);
      while (item.starts_with(' ') || item.starts_with('\t'))
        item.remove_prefix(1);
      while (item.ends_with(' ') || item.ends_with('\t'))
        item.remove_suffix(1);
      if (!item.empty()) items.push_back(item);
      if (comma == std::string_view::npos) break;
      rest.remove_prefix(comma + 1);
    }
  }
  return items;
}

bool names(const std::vector<std::string_view>& list, std::string_view token) {
  return std::ranges::any_of(list, [&](auto item) { return text::equals_ignore_case(item, token); });
}

bool contains(const std::vector<std::string>& names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

bool is_token(std::string_view text) {
  constexpr std::string_view separators = "()<>@,;:\\\"/[]?={} \t";
  return std::ranges::all_of(
      text, [&](char c) { return c > 0x20 && c < 0x7F && separators.find(c) == std::string_view::npos; });
}

std::string accept_for(std::string_view key) {
  constexpr std::string_view constant = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  const auto text = std::string(key) + std::string(constant);
  std::array<std::byte, SHA_DIGEST_LENGTH> digest{};
  EVP_Digest(text.data(), text.size(), reinterpret_cast<unsigned char*>(digest.data()), nullptr, EVP_sha1(),
             nullptr);
  return text::encode_base64(digest);
}

}  // namespace

SocketOffer SocketOffer::parse(const RequestHead& head) {
  // HTTP/1.0 knows no upgrade: the header is to be ignored there.
  if (head.is_http_1_0 || !names(list_of(head.headers, "upgrade"), "websocket"))
    demand_upgrade("This endpoint speaks WebSocket: send a request to upgrade the connection.");
  if (head.method != "GET") refuse("The handshake of a WebSocket is a GET request.");
  if (!names(list_of(head.headers, "connection"), "upgrade"))
    refuse("The Connection header must name 'Upgrade'.");
  if (head.content_length != 0) refuse("The handshake of a WebSocket has no body.");
  const auto versions = list_of(head.headers, "sec-websocket-version");
  if (versions.size() != 1 || versions.front() != served_version)
    demand_upgrade("The version of WebSocket served is 13.");
  const auto keys = list_of(head.headers, "sec-websocket-key");
  const auto key = keys.size() == 1 ? text::decode_base64(keys.front()) : std::nullopt;
  if (!key || key->size() != key_bytes)
    refuse("The Sec-WebSocket-Key header must hold 16 bytes in base64, once.");
  SocketOffer offer{.accept = accept_for(keys.front()), .subprotocols = {}};
  const auto subprotocols = list_of(head.headers, "sec-websocket-protocol");
  if (subprotocols.size() > most_subprotocols) refuse("The request offers too many subprotocols.");
  for (const auto name : subprotocols) {
    if (!is_token(name) || contains(offer.subprotocols, name))
      refuse("The names in the Sec-WebSocket-Protocol header must be tokens that differ.");
    offer.subprotocols.emplace_back(name);
  }
  return offer;
}

std::string_view SocketOffer::choose(std::span<const std::string_view> served) const {
  const auto found =
      std::ranges::find_if(served, [&](std::string_view name) { return contains(subprotocols, name); });
  return found == served.end() ? std::string_view() : *found;
}

}  // namespace hearth::net
