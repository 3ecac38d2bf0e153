// One request and its reply on a session: the handler's two sides. Private to net/.
#pragma once

#include <chrono>
#include <cstdint>

#include "net/http_session.hpp"

namespace hearth::net {

// Lives in the session's coroutine for one request.
class HttpExchange final : public BodyReader, public ResponseWriter {
 public:
  explicit HttpExchange(HttpSession& session);

  Task<std::size_t> read_some(std::span<char> buffer) override;
  Task<std::string> read_all(std::size_t limit) override;

  Task<void> send(ResponseHead head, std::string body) override;
  Task<void> begin(ResponseHead head) override;
  Task<void> begin(ResponseHead head, std::uint64_t length) override;
  Task<void> write(std::string_view bytes) override;
  Task<void> end(std::string_view last) override;
  using ResponseWriter::end;
  Task<SocketEnd> upgrade(const SocketOffer& offer, const SocketOptions& options,
                          SocketConversation conversation) override;
  bool begun() const override { return begun_; }
  Task<void> closed() override;

  bool ended() const { return ended_; }
  bool body_done() const { return session_.parser_->done(); }
  // The connection cannot carry another request.
  bool must_close() const { return close_; }
  bool was_upgraded() const { return upgraded_; }
  // The reply's end is the connection's end.
  bool until_close() const { return begun_ && !chunked_ && !sized_; }
  // Reads the rest of a small body that the handler left; false when the rest is too large to be worth it.
  Task<bool> drain_body();

 private:
  enum class Framing { sized, chunked, until_close };
  enum class Piece { inner, last };

  // Waits for more of the body, whatever part of it is here first; 0 at its end.
  Task<std::size_t> next_body_bytes(std::span<char> out);
  Task<void> send_continue();
  std::string start(const ResponseHead& head, Framing framing, std::uint64_t length);
  // With the head, where that has not left yet, and the end of the body after the last piece.
  Task<void> write_piece(std::string_view bytes, Piece piece);
  bool has_no_body(int status) const;
  bool asks_for_socket() const;
  // Counts the bytes of a begun body; std::logic_error where these have no place in it.
  void count(std::string_view bytes);
  // Whether what the handler left of the body can be taken after the reply.
  bool rest_is_small() const;
  [[noreturn]] void fail_body(int status, std::string_view code, std::string message);

  HttpSession& session_;
  HttpParser& parser_;
  std::string unsent_head_;
  bool expects_continue_ = false;
  bool head_only_ = false;  // HEAD: no body bytes are written
  bool begun_ = false;
  bool ended_ = false;
  bool sized_ = false;
  bool writable_ = false;   // between begin() and end()
  std::uint64_t left_ = 0;  // of a body whose length was told
  bool chunked_ = false;
  bool upgraded_ = false;
  bool close_ = false;
  TimePoint body_deadline_ = TimePoint::max();  // on top of the limits, while draining
  std::uint64_t body_bytes_ = 0;
  std::chrono::steady_clock::duration body_waited_{};  // for the client, not for the handler
};

}  // namespace hearth::net
