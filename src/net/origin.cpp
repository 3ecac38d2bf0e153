#include <charconv>

#include "net/http_client.hpp"

namespace hearth::net {

std::optional<Origin> Origin::parse(std::string_view url, std::string* path) {
  Origin origin;
  const auto keep_path = [path](std::string_view rest) {
    if (path) *path = rest;
  };
  if (url.starts_with("unix:")) {
    url.remove_prefix(5);
    if (url.starts_with("//")) url.remove_prefix(2);
    if (!url.starts_with('/') || url.size() < 2) return std::nullopt;
    origin.scheme = "unix";
    origin.host = url;
    keep_path("");
    return origin;
  }
  if (url.starts_with("http://")) {
    origin.scheme = "http";
    origin.port = 80;
    url.remove_prefix(7);
  } else if (url.starts_with("https://")) {
    origin.scheme = "https";
    origin.port = 443;
    url.remove_prefix(8);
  } else {
    return std::nullopt;
  }
  const auto end = url.find_first_of("/?#");
  auto authority = url.substr(0, end);
  keep_path(end == std::string_view::npos ? std::string_view() : url.substr(end));
  if (authority.find('@') != std::string_view::npos) return std::nullopt;
  std::string_view port;
  bool has_port = false;
  if (authority.starts_with('[')) {
    const auto close = authority.find(']');
    if (close == std::string_view::npos) return std::nullopt;
    origin.host = authority.substr(1, close - 1);
    const auto rest = authority.substr(close + 1);
    has_port = rest.starts_with(':');
    if (!rest.empty() && !has_port) return std::nullopt;
    if (has_port) port = rest.substr(1);
  } else {
    const auto colon = authority.find(':');
    has_port = colon != std::string_view::npos;
    origin.host = authority.substr(0, colon);
    if (has_port) port = authority.substr(colon + 1);
  }
  if (origin.host.empty() || origin.host.find_first_of(" \t\r\n") != std::string::npos) return std::nullopt;
  if (has_port) {
    const auto [stop, wrong] = std::from_chars(port.data(), port.data() + port.size(), origin.port);
    if (wrong != std::errc() || stop != port.data() + port.size() || origin.port == 0) return std::nullopt;
  }
  return origin;
}

std::string Origin::host_header() const {
  if (scheme == "unix") return "localhost";
  auto text = host.find(':') == std::string::npos ? host : "[" + host + "]";
  const bool is_default = (scheme == "http" && port == 80) || (scheme == "https" && port == 443);
  return is_default ? text : text + ":" + std::to_string(port);
}

}  // namespace hearth::net
