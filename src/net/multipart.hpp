// multipart/form-data, sans-io: bytes in, events out; a file of any size passes through in pieces.
// Sources of the format: RFC 7578 and RFC 2046 section 5.1. Used by the file uploads.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace hearth::net {

struct MultipartLimits {
  std::size_t header_bytes = 8 * 1024;  // of one part
  std::size_t parts = 256;
};

struct PartHead {
  std::string name;
  std::optional<std::string> filename;  // as sent: not a path to trust
  std::string content_type;             // empty when the part names none
};

// Feed bytes as they come, then take events until need_more, done or failed. It holds what was fed and not
// taken, and between feeds at most a boundary or one part's header.
class MultipartParser {
 public:
  enum class Event { need_more, part_begin, part_data, part_end, done, failed };

  // The boundary of a Content-Type header; nullopt when it is not multipart/form-data with a valid one.
  static std::optional<std::string> boundary_of(std::string_view content_type);

  explicit MultipartParser(std::string_view boundary, MultipartLimits limits = {});

  void feed(std::string_view bytes);
  // Nothing more will come: without the final boundary the next event is failed.
  void finish() { finished_ = true; }
  Event next();

  // The head of the part that is open.
  const PartHead& part() const { return part_; }
  // The bytes of the part_data event; valid until the next call.
  std::string_view data() const { return data_; }
  // The reason for the failed event, for the client.
  const std::string& failure() const { return failure_; }

 private:
  enum class State { preamble, after_boundary, header, body_start, body, end, failed };

  Event fail(std::string message);
  Event starve();
  Event next_in_body();
  bool read_header(std::string_view header);
  bool read_disposition(std::string_view value);
  std::string_view rest() const { return std::string_view(buffer_).substr(position_); }

  MultipartLimits limits_;
  std::string delimiter_;  // "\r\n--boundary"
  std::string buffer_;
  std::size_t position_ = 0;
  State state_ = State::preamble;
  PartHead part_;
  std::string_view data_;
  std::string failure_;
  std::size_t parts_ = 0;
  bool finished_ = false;
};

}  // namespace hearth::net
