#include "net/http_client.hpp"

#include <algorithm>
#include <deque>
#include <iterator>
#include <mutex>
#include <sys/un.h>
#include <unordered_map>
#include <utility>
#include <vector>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/context.hpp>
#include <fmt/format.h>

#include "async/deadline.hpp"
#include "async/interruptible.hpp"
#include "net/http_parser.hpp"
#include "net/http_render.hpp"
#include "net/stream.hpp"

namespace hearth::net {
namespace {

namespace asio = boost::asio;
using Endpoint = asio::generic::stream_protocol::endpoint;
using asio::buffer;
using std::chrono::steady_clock;

constexpr std::size_t header_limit = 64 * 1024;
constexpr auto early_reply_time = std::chrono::seconds(1);
constexpr std::size_t source_piece = 64 * 1024;

struct Connection {
  explicit Connection(const async::Executor& executor) : stream(Socket(executor)) {}
  Stream stream;
  ReadBuffer in;
  bool reused = false;
  TimePoint idle_since;
};

// The idle connections, per io loop. Thread: any; the lock is held for a few pointer moves, never across an
// await. Shared by the client and its open responses: a response may outlive the client.
class Pool {
 public:
  Pool(std::size_t capacity, std::chrono::milliseconds longest_idle)
      : capacity_(capacity), longest_idle_(longest_idle) {}

  // The one that was used last and still lives; nullptr when there is none.
  std::unique_ptr<Connection> take(const void* loop) {
    for (;;) {
      auto connection = take_any(loop);
      if (!connection) return nullptr;
      if (!has_expired(*connection, steady_clock::now()) && !connection->stream.has_unexpected_input()) {
        connection->reused = true;
        return connection;
      }
    }
  }

  // Also closes those that have been idle for too long: the loop's oldest ones, which take() may never reach.
  void put(const void* loop, std::unique_ptr<Connection> connection) {
    const auto now = steady_clock::now();
    connection->idle_since = now;
    Idle expired;  // closed after the lock is given back
    std::lock_guard lock(mutex_);
    Idle& idle = idle_[loop];
    const auto first_good =
        std::ranges::find_if(idle, [&](const auto& kept) { return !has_expired(*kept, now); });
    std::move(idle.begin(), first_good, std::back_inserter(expired));
    idle.erase(idle.begin(), first_good);
    if (idle.size() < capacity_) idle.push_back(std::move(connection));
  }

  void clear() {
    std::lock_guard lock(mutex_);
    idle_.clear();
  }

 private:
  using Idle = std::deque<std::unique_ptr<Connection>>;  // the one that was used last at the back

  bool has_expired(const Connection& connection, TimePoint now) const {
    return now - connection.idle_since >= longest_idle_;
  }

  std::unique_ptr<Connection> take_any(const void* loop) {
    std::lock_guard lock(mutex_);
    const auto found = idle_.find(loop);
    if (found == idle_.end() || found->second.empty()) return nullptr;
    auto connection = std::move(found->second.back());
    found->second.pop_back();
    return connection;
  }

  std::mutex mutex_;
  std::unordered_map<const void*, Idle> idle_;
  const std::size_t capacity_;  // per loop
  const std::chrono::milliseconds longest_idle_;
};

const void* loop_of(const async::Executor& executor) {
  return &asio::query(executor, asio::execution::context);
}

// Ends an attempt; the client decides whether another one is made.
struct AttemptFailed {
  FailedAt stage;
  ErrorCode error;
  bool reply_begun = false;
};

// Cancellation is not a failure of the other side: it is passed on as cancellation.
[[noreturn]] void throw_failure(FailedAt stage, const ErrorCode& error) {
  if (error == asio::error::operation_aborted) throw boost::system::system_error(error);
  throw ClientError(stage, error.message());
}

// Waits for the header of the reply, past the interim ones; can be stopped and asked again.
class ReplyHead {
 public:
  ReplyHead(Connection& connection, MessageKind kind) : connection_(connection), kind_(kind) {}

  bool done() const { return done_; }
  HttpParser take() { return std::move(*parser_); }

  // Until done(); throws AttemptFailed, and ClientError for what is no reply.
  Task<void> read(TimePoint deadline) {
    while (!done_) {
      if (!parser_) parser_.emplace(kind_, header_limit);
      while (!parser_->head_done()) {
        const auto consumed = parser_->parse_head(connection_.in.view());
        if (!consumed) {
          throw ClientError(FailedAt::waiting_for_header, "not an HTTP reply: " + consumed.error().message);
        }
        connection_.in.consume(*consumed);
        if (parser_->head_done()) break;
        const auto io = co_await connection_.stream.fill(connection_.in, Arrival::later, deadline);
        if (io.error) throw AttemptFailed{FailedAt::waiting_for_header, io.error, begun_};
        begun_ = true;
      }
      const auto status = parser_->response().status;
      if (status == 101) throw ClientError(FailedAt::waiting_for_header, "the server switched protocols");
      done_ = status / 100 != 1;
      if (!done_) parser_.reset();
    }
  }

 private:
  Connection& connection_;
  MessageKind kind_;
  std::optional<HttpParser> parser_;
  bool begun_ = false;  // something came
  bool done_ = false;
};

// Whether the connection may serve another request after this one's reply.
enum class Afterwards { keep, close };

class Response final : public ClientResponse {
 public:
  Response(std::shared_ptr<Pool> pool, std::unique_ptr<Connection> connection, HttpParser parser,
           std::chrono::milliseconds between_bytes, Afterwards afterwards)
      : pool_(std::move(pool)),
        connection_(std::move(connection)),
        parser_(std::move(parser)),
        between_bytes_(between_bytes),
        afterwards_(afterwards) {
    if (parser_.done()) release();
  }

  const ResponseHead& head() const override { return parser_.response(); }

  Task<std::size_t> read_some(std::span<char> out) override {
    if (out.empty()) co_return 0;
    while (!parser_.done()) {
      if (!connection_) throw ClientError(FailedAt::reading_body, "the reply has failed before");
      auto& in = connection_->in;
      if (!in.empty()) {
        const auto step = parser_.parse_body(in.view(), out);
        if (!step) fail(step.error().message);
        in.consume(step->consumed);
        if (parser_.done()) release();
        if (step->produced > 0) co_return step->produced;
        if (step->consumed > 0) continue;
      }
      const auto io =
          co_await connection_->stream.fill(in, Arrival::likely, steady_clock::now() + between_bytes_);
      if (!io.error) continue;
      connection_.reset();
      if (io.error != asio::error::eof || !parser_.end_of_input())
        throw_failure(FailedAt::reading_body, io.error);
    }
    co_return 0;
  }

  Task<std::string> read_all(std::size_t limit) override {
    std::string body;
    std::size_t used = 0;
    while (!parser_.done()) {
      const auto expected = std::min<std::uint64_t>(parser_.remaining().value_or(4096), 64 * 1024);
      const auto room = std::max<std::size_t>({expected, used, 1});
      body.resize_and_overwrite(used + room, [](char*, std::size_t size) { return size; });
      const auto got = co_await read_some(std::span(body).subspan(used));
      used += got;
      if (used > limit) fail("the reply is larger than " + std::to_string(limit) + " bytes");
    }
    body.resize(used);
    co_return body;
  }

 private:
  [[noreturn]] void fail(const std::string& cause) {
    connection_.reset();
    throw ClientError(FailedAt::reading_body, cause);
  }

  // The body is complete: the connection may serve the next request.
  void release() {
    if (afterwards_ == Afterwards::keep && parser_.keep_alive() && connection_->in.empty()) {
      const auto* loop = loop_of(connection_->stream.socket().get_executor());
      pool_->put(loop, std::move(connection_));
    }
    connection_.reset();
  }

  std::shared_ptr<Pool> pool_;
  std::unique_ptr<Connection> connection_;
  HttpParser parser_;
  std::chrono::milliseconds between_bytes_;
  Afterwards afterwards_;
};

// A streamed body on its way, and how the sending ended.
struct Sending {
  enum class End { under_way, complete, failed };
  End end = End::under_way;
  ErrorCode error;                   // of the connection
  std::exception_ptr source_failed;  // what the source threw
  // Where the listener for the reply failed before the sending had ended.
  ErrorCode listener_error;
  std::exception_ptr no_reply;  // what came is none
};

// The interruption of a sending: a server that has answered may take no more of the body.
Task<void> listen(ReplyHead& reply, Sending& sending) {
  try {
    co_await reply.read(TimePoint::max());
  } catch (const AttemptFailed& failed) {
    if (sending.end == Sending::End::under_way) sending.listener_error = failed.error;
  } catch (const ClientError&) {
    sending.no_reply = std::current_exception();
  }
}

}  // namespace

struct HttpClient::Impl {
  Impl(Origin o, ClientTimeouts t, std::size_t idle)
      : origin(std::move(o)), timeouts(t), pool(std::make_shared<Pool>(idle, t.idle)) {
    if (origin.scheme != "https") return;
    tls.emplace(asio::ssl::context::tls_client);
    SSL_CTX_set_min_proto_version(tls->native_handle(), TLS1_2_VERSION);
    ErrorCode error;
    tls->set_default_verify_paths(error);
    if (error) throw ClientError(FailedAt::connecting, "no certificate authorities: " + error.message());
  }

  Task<std::unique_ptr<Connection>> connect();
  Task<std::vector<Endpoint>> resolve(TimePoint deadline);
  // One exchange up to the reply's header; throws AttemptFailed.
  Task<Afterwards> exchange(Connection& connection, const ClientRequest& request, const std::string& head,
                            ReplyHead& reply);
  // The same where the body is streamed.
  Task<Afterwards> exchange_streamed(Connection& connection, const ClientRequest& request,
                                     const std::string& head, ReplyHead& reply);
  Task<void> send_source(Connection& connection, const ClientRequest& request, const std::string& head,
                         Sending& sending);
  // After a failed sending: a server that refuses by the head may have answered before it took the body.
  Task<Afterwards> read_early_reply(Connection& connection, const ErrorCode& error, ReplyHead& reply);
  Task<ErrorCode> write(Connection& connection, Stream::Parts parts);
  std::string render(const ClientRequest& request) const;

  Origin origin;
  ClientTimeouts timeouts;
  std::shared_ptr<Pool> pool;
  std::optional<asio::ssl::context> tls;
};

HttpClient::HttpClient(Origin origin, ClientTimeouts timeouts, std::size_t idle_connections)
    : impl_(std::make_unique<Impl>(std::move(origin), timeouts, idle_connections)) {}

HttpClient::~HttpClient() {
  impl_->pool->clear();
}

const Origin& HttpClient::origin() const {
  return impl_->origin;
}

void HttpClient::close_idle() {
  impl_->pool->clear();
}

Task<std::vector<Endpoint>> HttpClient::Impl::resolve(TimePoint deadline) {
  if (origin.scheme == "unix") {
    if (origin.host.size() >= sizeof(sockaddr_un::sun_path)) {
      throw ClientError(FailedAt::connecting, "the socket's path is too long");
    }
    co_return std::vector<Endpoint>{asio::local::stream_protocol::endpoint(origin.host)};
  }
  ErrorCode error;
  const auto address = asio::ip::make_address(origin.host, error);
  if (!error) co_return std::vector<Endpoint>{asio::ip::tcp::endpoint(address, origin.port)};
  asio::ip::tcp::resolver resolver(co_await asio::this_coro::executor);
  std::vector<Endpoint> endpoints;
  try {
    const auto found = co_await async::with_deadline(
        deadline - steady_clock::now(),
        resolver.async_resolve(origin.host, std::to_string(origin.port), asio::use_awaitable));
    for (const auto& entry : found)
      endpoints.emplace_back(entry.endpoint());
  } catch (const async::DeadlineExceeded&) {
    throw ClientError(FailedAt::connecting, "the name " + origin.host + " was not resolved in time");
  } catch (const boost::system::system_error& failed) {
    if (failed.code() == asio::error::operation_aborted) throw;
    throw ClientError(FailedAt::connecting,
                      "the name " + origin.host + " is not known: " + failed.code().message());
  }
  co_return endpoints;
}

Task<std::unique_ptr<Connection>> HttpClient::Impl::connect() {
  const auto deadline = steady_clock::now() + timeouts.connect;
  const auto endpoints = co_await resolve(deadline);
  auto connection = std::make_unique<Connection>(co_await asio::this_coro::executor);
  ErrorCode error = asio::error::host_not_found;
  for (const auto& endpoint : endpoints) {
    error = co_await connection->stream.connect(endpoint, deadline);
    if (!error || error == asio::error::operation_aborted) break;
  }
  if (!error && tls) error = co_await connection->stream.connect_tls(*tls, origin.host, deadline);
  if (error) throw_failure(FailedAt::connecting, error);
  co_return connection;
}

std::string HttpClient::Impl::render(const ClientRequest& request) const {
  std::string text;
  text.reserve(512);
  text += request.method;
  text += ' ';
  text += request.target;
  text += " HTTP/1.1\r\n";
  if (!request.headers.contains("host")) append_header(text, "host", origin.host_header());
  append_headers(text, request.headers);
  if (request.source && !request.source_size) {
    append_header(text, "transfer-encoding", "chunked");
  } else if (request.source) {
    append_header(text, "content-length", *request.source_size);
  } else if (!request.body.empty() || (request.method != "GET" && request.method != "HEAD")) {
    append_header(text, "content-length", request.body.size());
  }
  text += "\r\n";
  return text;
}

Task<ErrorCode> HttpClient::Impl::write(Connection& connection, Stream::Parts parts) {
  ErrorCode error;
  if (!connection.stream.try_write(parts, error)) {
    error = co_await connection.stream.finish_write(parts, timeouts.between_bytes);
  }
  co_return error;
}

Task<Afterwards> HttpClient::Impl::exchange(Connection& connection, const ClientRequest& request,
                                            const std::string& head, ReplyHead& reply) {
  if (request.source) co_return co_await exchange_streamed(connection, request, head, reply);
  const auto error = co_await write(connection, {buffer(head), buffer(request.body)});
  if (error) co_return co_await read_early_reply(connection, error, reply);
  co_await reply.read(steady_clock::now() + timeouts.header);
  co_return Afterwards::keep;
}

Task<Afterwards> HttpClient::Impl::read_early_reply(Connection& connection, const ErrorCode& error,
                                                    ReplyHead& reply) {
  if (connection.reused || !connection.stream.has_unexpected_input()) {
    throw AttemptFailed{FailedAt::sending, error};
  }
  try {
    co_await reply.read(steady_clock::now() + early_reply_time);
  } catch (const AttemptFailed&) {
    throw AttemptFailed{FailedAt::sending, error};
  }
  co_return Afterwards::close;
}

Task<Afterwards> HttpClient::Impl::exchange_streamed(Connection& connection, const ClientRequest& request,
                                                     const std::string& head, ReplyHead& reply) {
  Sending sending;
  co_await async::run_unless(send_source(connection, request, head, sending), listen(reply, sending));
  const auto state = co_await asio::this_coro::cancellation_state;
  const bool cancelled = state.cancelled() != asio::cancellation_type::none;
  if (cancelled) throw AttemptFailed{FailedAt::sending, asio::error::operation_aborted};
  if (sending.no_reply) std::rethrow_exception(sending.no_reply);
  if (reply.done()) {
    co_return sending.end == Sending::End::complete ? Afterwards::keep : Afterwards::close;
  }
  if (sending.end == Sending::End::complete) {
    co_await reply.read(steady_clock::now() + timeouts.header);
    co_return Afterwards::keep;
  }
  // A sender that was stopped says nothing of its own; one whose deadline passed stopped the listener.
  const bool was_stopped = sending.listener_error && sending.error != asio::error::timed_out;
  if (was_stopped) throw AttemptFailed{FailedAt::sending, sending.listener_error};
  if (sending.source_failed) std::rethrow_exception(sending.source_failed);
  co_return co_await read_early_reply(connection, sending.error, reply);
}

Task<void> HttpClient::Impl::send_source(Connection& connection, const ClientRequest& request,
                                         const std::string& head, Sending& sending) {
  std::string piece(source_piece, '\0');
  std::string_view unsent_head = head;
  std::uint64_t left = request.source_size.value_or(~std::uint64_t{0});
  for (bool last = false; !last;) {
    std::size_t size = 0;
    if (left > 0) {
      try {
        size = co_await request.source->read_some(
            std::span(piece).first(std::min<std::uint64_t>(piece.size(), left)));
      } catch (...) {
        sending.end = Sending::End::failed;
        sending.source_failed = std::current_exception();
        co_return;
      }
      if (size == 0 && request.source_size) {
        throw std::logic_error("a request's body is shorter than it said");
      }
    }
    left -= size;
    last = request.source_size ? left == 0 : size == 0;
    const std::string_view bytes = std::string_view(piece).substr(0, size);
    std::string chunk_line;
    std::string_view chunk_end;
    if (!request.source_size) {
      chunk_line = last ? "0\r\n" : fmt::format("{:x}\r\n", size);
      chunk_end = "\r\n";
    }
    sending.error = co_await write(connection, {buffer(std::exchange(unsent_head, {})), buffer(chunk_line),
                                                buffer(bytes), buffer(chunk_end)});
    if (sending.error) {
      sending.end = Sending::End::failed;
      co_return;
    }
    if (connection.stream.wants_yield()) {
      co_await asio::post(connection.stream.socket().get_executor(), asio::use_awaitable);
    }
  }
  sending.end = Sending::End::complete;
}

Task<std::unique_ptr<ClientResponse>> HttpClient::send(ClientRequest request) {
  if (std::ranges::any_of(request.target,
                          [](char c) { return static_cast<unsigned char>(c) <= ' ' || c == 0x7f; })) {
    throw ClientError(FailedAt::sending, "the target holds a space or a control character");
  }
  const auto head = impl_->render(request);
  const auto executor = co_await asio::this_coro::executor;
  const auto kind = request.method == "HEAD" ? MessageKind::response_to_head : MessageKind::response;
  // A kept connection may turn out to be stale, after which the body is needed once more.
  const bool is_repeatable = !request.source || request.source->rewind();
  auto connection = is_repeatable ? impl_->pool->take(loop_of(executor)) : nullptr;
  for (;;) {
    if (!connection) connection = co_await impl_->connect();
    std::optional<AttemptFailed> failed;
    try {
      ReplyHead reply(*connection, kind);
      const auto afterwards = co_await impl_->exchange(*connection, request, head, reply);
      co_return std::make_unique<Response>(impl_->pool, std::move(connection), reply.take(),
                                           impl_->timeouts.between_bytes, afterwards);
    } catch (const AttemptFailed& attempt) {
      failed = attempt;
    }
    // A kept connection that the other side closed before it saw the request says nothing about the server;
    // one that let the deadline pass does.
    const bool stale = connection->reused && !failed->reply_begun &&
                       failed->error != asio::error::timed_out &&
                       failed->error != asio::error::operation_aborted;
    if (!stale || (request.source && !request.source->rewind())) {
      throw_failure(failed->stage, failed->error);
    }
    connection.reset();
  }
}

}  // namespace hearth::net
