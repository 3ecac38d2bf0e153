// HTTP/1.x messages, sans-io: bytes in, head and body out. The head is read by Beast's parser behind a
// stricter gate, the body by its announced length or ChunkDecoder (Beast's own asserts on a last chunk that
// arrives byte by byte).
//
// Some messages pass Beast although two parties could read them differently; they are refused here: folded
// header lines, repeated or listed lengths, a length beside a transfer coding, codings other than exactly
// "chunked", chunked in HTTP/1.0, a missing or repeated Host. Used by the sessions, the client and the
// header fuzzer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "net/http.hpp"

namespace hearth::net {

// Why a message is refused; `status` is the reply's when the message is a request.
struct ParseFailure {
  int status = 400;
  std::string message;
};

enum class MessageKind { request, response, response_to_head };

class HttpParser {
 public:
  // The head's bytes, a chunk's header line and the trailers are each at most `header_limit`.
  HttpParser(MessageKind kind, std::size_t header_limit);
  ~HttpParser();
  HttpParser(HttpParser&&) noexcept;
  HttpParser& operator=(HttpParser&&) noexcept;

  // Until head_done(): feed what has been received and not yet consumed; returns what it consumed. The rest
  // must be fed again together with what follows it.
  std::expected<std::size_t, ParseFailure> parse_head(std::string_view bytes);
  bool head_done() const;

  struct BodyStep {
    std::size_t consumed = 0;
    std::size_t produced = 0;  // written to `out`
  };
  // After the head, until done(): as far as input and room go. `bytes` may be the same memory as `out`: then
  // nothing is copied.
  std::expected<BodyStep, ParseFailure> parse_body(std::string_view bytes, std::span<char> out);
  // The head and the body are complete.
  bool done() const;
  // Bytes still to come, when that is known.
  std::optional<std::uint64_t> remaining() const;
  // The sender has closed: true when that is the body's regular end.
  bool end_of_input();

  RequestHead& request();
  const ResponseHead& response() const;
  bool is_http_1_0() const;
  // The connection may carry another message after this one.
  bool keep_alive() const;

 private:
  struct Impl;
  template <bool is_request>
  struct Typed;
  std::unique_ptr<Impl> impl_;
};

// "Not Found"; "Unknown" for a code without a phrase.
std::string_view reason_phrase(int status);

}  // namespace hearth::net
