// What browsers send: forms, cookies, and whether a page of ours sent it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/http.hpp"

namespace hearth::api {

// The fields of a form or of a query.
class WebForm {
 public:
  // application/x-www-form-urlencoded; nullopt for broken escapes and text that is not UTF-8.
  static std::optional<WebForm> parse(std::string_view encoded);

  // The first of that name; empty where there is none.
  std::string get(std::string_view name) const;

 private:
  std::vector<std::pair<std::string, std::string>> fields_;
};

// Empty where there is none.
std::string read_cookie(const net::Headers& headers, std::string_view name);

// Whether the browser says that a page of this server sent the form. `public_url` is what people see in
// their address bar, where that is configured. A request that says nothing about it is none of ours.
bool is_same_origin(const net::Headers& headers, std::string_view public_url);

}  // namespace hearth::api
