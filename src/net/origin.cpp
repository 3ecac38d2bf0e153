#include <boost/url/authority_view.hpp>

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
  const auto authority = url.substr(0, end);
  keep_path(end == std::string_view::npos ? std::string_view() : url.substr(end));
  const auto parsed = boost::urls::parse_authority(authority);
  if (!parsed || parsed->has_userinfo() || parsed->encoded_host().empty()) return std::nullopt;
  // No resolver knows escaped names, and addresses of a future IP version cannot be connected to.
  if (parsed->encoded_host().contains('%') || parsed->host_type() == boost::urls::host_type::ipvfuture)
    return std::nullopt;
  origin.host = parsed->host_address();
  if (parsed->has_port()) origin.port = parsed->port_number();
  if (origin.port == 0) return std::nullopt;
  return origin;
}

std::string Origin::host_header() const {
  if (scheme == "unix") return "localhost";
  auto text = host.find(':') == std::string::npos ? host : "[" + host + "]";
  const bool is_default = (scheme == "http" && port == 80) || (scheme == "https" && port == 443);
  return is_default ? text : text + ":" + std::to_string(port);
}

}  // namespace hearth::net
