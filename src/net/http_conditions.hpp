// Which bytes of a resource a GET or HEAD is answered with: conditions and ranges of RFC 9110, sections 13
// and 14. Sans-io and pure. Used by replies whose bytes are stored somewhere.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.hpp"
#include "net/http.hpp"

namespace hearth::net {

// What tells one state of a resource from another. A resource without them meets no condition that names one.
struct Validators {
  std::string etag;  // a strong one, with its quotes; empty: none
  std::optional<UnixSeconds> last_modified;
};

struct Selection {
  enum class Kind {
    whole,                // 200
    part,                 // 206
    not_modified,         // 304
    precondition_failed,  // 412
    unsatisfiable,        // 416
  };
  Kind kind = Kind::whole;
  // Where the bytes to send begin, and how many they are: all of them unless it is a part.
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
};

// In the order of RFC 9110, section 13.2.2. Several ranges at once are answered with the whole, as is a Range
// that cannot be read; both is allowed.
Selection select_bytes(std::string_view method, const Headers& request, const Validators& validators,
                       std::uint64_t size);

// All three forms of RFC 9110, section 5.6.7; nullopt for anything that is no date.
std::optional<UnixSeconds> parse_http_date(std::string_view text);
// "Tue, 29 Apr 2025 08:00:00 GMT"
std::string render_http_date(UnixSeconds time);

// "attachment; filename=…" of RFC 6266 for a name that somebody sent: only its last part, without control
// characters, quotes and separators; names beyond ASCII stand in `filename*` too.
std::string render_attachment(std::string_view file_name);

}  // namespace hearth::net
