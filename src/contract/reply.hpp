// What a handler answers, free of HTTP.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "async/task.hpp"
#include "contract/bytes.hpp"
#include "contract/socket.hpp"
#include "json/json.hpp"

namespace hearth::contract {

// Where a streaming handler puts its events. It can only send: the pipeline alone ends the stream, well when
// the producer returns (with [DONE] where the contract says so), badly when it throws (an error event and no
// [DONE]). send() waits until the client took the bytes, so a slow client slows the producer. Thread: the
// session's.
class EventSink {
 public:
  virtual ~EventSink() = default;
  virtual Task<void> send(std::string_view event, const json::value& data) = 0;
};

// The producer of a stream. It runs after the reply's header was sent, so whatever can fail before the first
// event belongs in the handler. Cancelled when the client leaves, unless `cancel: never` stands in its
// operation.
using EventProducer = std::move_only_function<Task<void>(EventSink&)>;

// The handler's side of a socket: see "contract/socket.hpp". It runs once the connection is one, so what can
// refuse the request belongs into the handler. The socket is closed when it returns (1000) or throws (an
// error event first). Cancelled soon after the client has left.
using Conversation = std::move_only_function<Task<void>(Socket&)>;

struct BytesBody {
  std::string content_type;
  std::string bytes;
};

// Bytes that lie somewhere. They are sent in pieces; ranges and conditions of the request are served (RFC
// 9110) where the reply is a 200 to a GET.
struct StoredBytes {
  std::string content_type;
  std::unique_ptr<ByteSource> source;
  std::string tag;  // of ASCII letters and digits, changes with the bytes: their SHA-256; empty: none
  std::optional<UnixSeconds> last_modified;
  std::string file_name;  // what a browser saves them as, made safe by whoever sends it
};

// Bytes that are still being made: speech.
struct LiveBytes {
  std::string content_type;
  ByteProducer producer;
};

struct Reply {
  int status = 200;
  std::vector<std::pair<std::string, std::string>> headers;
  std::variant<json::value, BytesBody, EventProducer, StoredBytes, LiveBytes, Conversation> body;

  static Reply of(json::value body) { return {.body = std::move(body)}; }
  // Only an operation that is a socket may answer so.
  static Reply talk(Conversation conversation) { return {.body = std::move(conversation)}; }
  static Reply stream(EventProducer producer) { return {.body = std::move(producer)}; }
  static Reply stored(StoredBytes bytes) { return {.body = std::move(bytes)}; }
  static Reply live(LiveBytes bytes) { return {.body = std::move(bytes)}; }
};

}  // namespace hearth::contract
