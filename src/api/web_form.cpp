#include "api/web_form.hpp"

#include <algorithm>

#include "base/text.hpp"
#include "contract/percent.hpp"

namespace hearth::api {
namespace {

constexpr std::string_view scheme_end = "://";

// "https://host:1234" → "host:1234".
std::string_view authority_of(std::string_view url) {
  const auto scheme = url.find(scheme_end);
  if (scheme == std::string_view::npos) return {};
  const std::string_view rest = url.substr(scheme + scheme_end.size());
  return rest.substr(0, rest.find('/'));
}

std::string_view trim(std::string_view text) {
  while (text.starts_with(' ') || text.starts_with('\t'))
    text.remove_prefix(1);
  while (text.ends_with(' ') || text.ends_with('\t'))
    text.remove_suffix(1);
  return text;
}

// Calls `visit` with each part of `text` between separators.
template <class Visit>
void for_each_part(std::string_view text, char separator, Visit visit) {
  while (!text.empty()) {
    const std::size_t end = text.find(separator);
    visit(text.substr(0, end));
    if (end == std::string_view::npos) return;
    text.remove_prefix(end + 1);
  }
}

}  // namespace

std::optional<WebForm> WebForm::parse(std::string_view encoded) {
  WebForm form;
  bool broken = false;
  for_each_part(encoded, '&', [&](std::string_view field) {
    if (field.empty()) return;
    const std::size_t equals = field.find('=');
    const std::string_view rest =
        equals == std::string_view::npos ? std::string_view() : field.substr(equals + 1);
    auto name = contract::percent_decode(field.substr(0, equals), contract::Plus::blank);
    auto value = contract::percent_decode(rest, contract::Plus::blank);
    if (!name || !value) {
      broken = true;
      return;
    }
    form.fields_.emplace_back(std::move(*name), std::move(*value));
  });
  if (broken) return std::nullopt;
  return form;
}

std::string WebForm::get(std::string_view name) const {
  const auto found = std::ranges::find_if(fields_, [name](const auto& field) { return field.first == name; });
  return found == fields_.end() ? std::string() : found->second;
}

std::string read_cookie(const net::Headers& headers, std::string_view name) {
  std::string value;
  for (const auto& [header, text] : headers.entries()) {
    if (!text::equals_ignore_case(header.view(), "cookie")) continue;
    for_each_part(text, ';', [&](std::string_view pair) {
      pair = trim(pair);
      const std::size_t equals = pair.find('=');
      if (value.empty() && equals != std::string_view::npos && pair.substr(0, equals) == name)
        value = pair.substr(equals + 1);
    });
  }
  return value;
}

bool is_same_origin(const net::Headers& headers, std::string_view public_url) {
  const std::string_view site = headers.get("sec-fetch-site");
  if (!site.empty()) return site == "same-origin" || site == "none";
  // Older browsers. A proxy in front may speak TLS where this server does not: hosts are compared.
  const std::string_view origin = authority_of(headers.get("origin"));
  if (origin.empty()) return false;
  return text::equals_ignore_case(origin, headers.get("host")) ||
         text::equals_ignore_case(origin, authority_of(public_url));
}

}  // namespace hearth::api
