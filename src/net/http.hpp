// HTTP in plain types: what the layers above net/ see. No Beast here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "async/task.hpp"

namespace hearth::net {

// A field's name: a literal, which is not copied, or one that came from elsewhere.
class HeaderName {
 public:
  HeaderName(std::string name) : own_(std::move(name)) {}
  template <std::size_t size>
  HeaderName(const char (&literal)[size]) : literal_(literal, size - 1) {}
  template <std::size_t size>
  HeaderName(char (&buffer)[size]) = delete;  // it would outlive the buffer
  // `name` lives as long as the program.
  static HeaderName literal(std::string_view name) {
    HeaderName made("");
    made.literal_ = name;
    return made;
  }
  std::string_view view() const { return own_.empty() ? literal_ : std::string_view(own_); }

 private:
  std::string own_;
  std::string_view literal_;
};

// Field names compare without case; order and repeats are kept.
class Headers {
 public:
  using Entry = std::pair<HeaderName, std::string>;
  // The first of that name, or an empty view.
  std::string_view get(std::string_view name) const;
  bool contains(std::string_view name) const;
  void add(HeaderName name, std::string value) { entries_.emplace_back(std::move(name), std::move(value)); }
  // Room for this many.
  void reserve(std::size_t count) { entries_.reserve(count); }
  void set(std::string_view name, std::string value);
  void erase(std::string_view name);
  const std::vector<Entry>& entries() const { return entries_; }

 private:
  std::vector<Entry> entries_;
};

class ClientCertificate;  // client_trust.hpp

struct RequestHead {
  std::string method;  // as sent: "GET"
  std::string target;  // origin form: path and query, still encoded
  Headers headers;
  std::string remote_address;  // "127.0.0.1", "::1", "unix"
  // Length of the body when announced; nullopt with chunked encoding; 0 without a body.
  std::optional<std::uint64_t> content_length = 0;
  bool secure = false;  // came over TLS
  bool is_http_1_0 = false;
  // What the client showed in the handshake, or null; lives as long as the connection.
  ClientCertificate* client_certificate = nullptr;

  std::string_view path() const { return std::string_view(target).substr(0, target.find('?')); }
  std::string_view query() const {
    const auto mark = target.find('?');
    return mark == std::string::npos ? std::string_view() : std::string_view(target).substr(mark + 1);
  }
};

struct ResponseHead {
  int status = 200;
  Headers headers;
};

// Thrown by the reading and writing sides of a connection when the other end has gone or broke the protocol.
// A server session ends on it quietly; a client maps it to its own error.
struct ConnectionLost : std::exception {
  explicit ConnectionLost(std::string cause) : cause_(std::move(cause)) {}
  const char* what() const noexcept override { return cause_.c_str(); }

 private:
  std::string cause_;
};

// Where a handler reads the request's body. `100 Continue` is sent on the first read when the client expects
// it, so a handler that refuses by the head alone never receives the body. Thread: the session's.
class BodyReader {
 public:
  virtual ~BodyReader() = default;
  // Up to buffer.size() bytes; 0 at the end. Throws ApiError 413 beyond the limit, 408 when the sender is too
  // slow, 400 on broken framing, ConnectionLost when the client has gone.
  virtual Task<std::size_t> read_some(std::span<char> buffer) = 0;
  // The whole body, at most `limit` bytes (ApiError 413 beyond, also by content_length before any byte is
  // read).
  virtual Task<std::string> read_all(std::size_t limit) = 0;
};

// Sockets: "net/web_socket.hpp".
class WebSocket;
struct SocketEnd;
struct SocketOffer;
struct SocketOptions;
using SocketConversation = std::move_only_function<Task<void>(WebSocket&)>;

// Where a handler answers, once. Either send(), or one of begin(), write()*, end(), or upgrade(). HEAD: the
// body is dropped, its length kept. Every call throws ConnectionLost when the client has gone. Thread: the
// session's.
class ResponseWriter {
 public:
  virtual ~ResponseWriter() = default;
  virtual Task<void> send(ResponseHead head, std::string body) = 0;
  // Chunked for HTTP/1.1, until close for HTTP/1.0. The head leaves with the first write() or with end();
  // each of these is flushed.
  virtual Task<void> begin(ResponseHead head) = 0;
  // With the length of the body: neither more nor less may be written. HEAD: nothing needs to be.
  virtual Task<void> begin(ResponseHead head, std::uint64_t length) = 0;
  virtual Task<void> write(std::string_view bytes) = 0;
  // Ends a begun body in the regular way, `last` being its last piece. A handler that returns without end()
  // has failed: the connection is cut without the last chunk, so that no client takes it for complete.
  virtual Task<void> end(std::string_view last) = 0;
  Task<void> end() { return end({}); }
  // Answers 101 and runs the conversation on the WebSocket that the connection then is; returns how it ended
  // when that is over, and the connection ends with the handler. An exception of the conversation closes the
  // socket with 1011 and goes on, unless it is the ConnectionLost of a socket that had ended already. Throws
  // nothing of its own before the reply but ConnectionLost.
  virtual Task<SocketEnd> upgrade(const SocketOffer& offer, const SocketOptions& options,
                                  SocketConversation conversation) = 0;
  virtual bool begun() const = 0;
  // Ends when the client closes its side or the connection fails, and when it is cancelled; never otherwise.
  // For `producer || closed()`: a client that leaves stops the work that only it wanted. Bytes of a pipelined
  // next request are kept.
  virtual Task<void> closed() = 0;
};

// Answers requests. Called on the session's executor, one request at a time per connection. What it throws is
// logged and ends the connection (500 when nothing was written yet): the pipeline above catches its own
// errors first.
class RequestHandler {
 public:
  virtual ~RequestHandler() = default;
  virtual Task<void> handle(const RequestHead& head, BodyReader& body, ResponseWriter& response) = 0;
};

}  // namespace hearth::net
