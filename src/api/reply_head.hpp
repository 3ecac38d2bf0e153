// The header of a reply: what every one of them says, whatever its body.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "api/exchange.hpp"
#include "base/clock.hpp"
#include "net/http.hpp"

namespace hearth::api {

struct ReplyHeadSettings {
  std::vector<std::string> cors_origins;  // "*" or exact origins; empty = no CORS headers
  std::string version = "2020-10-01";     // told in openai-version
};

// Thread: any.
class ReplyHeads {
 public:
  ReplyHeads(const Clock& clock, ReplyHeadSettings settings)
      : clock_(clock), settings_(std::move(settings)) {}

  // Without a content-type where `content_type` is empty.
  net::ResponseHead make(const Exchange& exchange, int status, std::string_view content_type) const;

  // A browser that asks whether it may ask.
  bool is_preflight(const net::RequestHead& head) const;
  net::ResponseHead make_preflight(const Exchange& exchange) const;

 private:
  void add_cors(net::Headers& headers, const net::RequestHead& request) const;

  const Clock& clock_;
  ReplyHeadSettings settings_;
};

}  // namespace hearth::api
