#include "net/http_client.hpp"

#include <algorithm>
#include <deque>
#include <iterator>
#include <mutex>
#include <sys/un.h>
#include <unordered_map>
#include <vector>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/ssl/context.hpp>

#include "async/deadline.hpp"
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

class Response final : public ClientResponse {
 public:
  Response(std::shared_ptr<Pool> pool, std::unique_ptr<Connection> connection, HttpParser parser,
           std::chrono::milliseconds between_bytes)
      : pool_(std::move(pool)),
        connection_(std::move(connection)),
        parser_(std::move(parser)),
        between_bytes_(between_bytes) {
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
    if (parser_.keep_alive() && connection_->in.empty()) {
      const auto* loop = loop_of(connection_->stream.socket().get_executor());
      pool_->put(loop, std::move(connection_));
    }
    connection_.reset();
  }

  std::shared_ptr<Pool> pool_;
  std::unique_ptr<Connection> connection_;
  HttpParser parser_;
  std::chrono::milliseconds between_bytes_;
};

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
  Task<HttpParser> exchange(Connection& connection, const ClientRequest& request, const std::string& head);
  Task<HttpParser> read_reply(Connection& connection, MessageKind kind, TimePoint deadline);
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
  if (!request.body.empty() || (request.method != "GET" && request.method != "HEAD")) {
    append_header(text, "content-length", request.body.size());
  }
  text += "\r\n";
  return text;
}

Task<HttpParser> HttpClient::Impl::read_reply(Connection& connection, MessageKind kind, TimePoint deadline) {
  bool begun = false;
  for (;;) {
    HttpParser parser(kind, header_limit);
    while (!parser.head_done()) {
      const auto consumed = parser.parse_head(connection.in.view());
      if (!consumed) {
        throw ClientError(FailedAt::waiting_for_header, "not an HTTP reply: " + consumed.error().message);
      }
      connection.in.consume(*consumed);
      if (parser.head_done()) break;
      const auto io = co_await connection.stream.fill(connection.in, Arrival::later, deadline);
      if (io.error) throw AttemptFailed{FailedAt::waiting_for_header, io.error, begun};
      begun = true;
    }
    const auto status = parser.response().status;
    if (status == 101) throw ClientError(FailedAt::waiting_for_header, "the server switched protocols");
    if (status / 100 != 1) co_return parser;
  }
}

Task<HttpParser> HttpClient::Impl::exchange(Connection& connection, const ClientRequest& request,
                                            const std::string& head) {
  const auto kind = request.method == "HEAD" ? MessageKind::response_to_head : MessageKind::response;
  Stream::Parts parts{buffer(head), buffer(request.body)};
  ErrorCode error;
  if (!connection.stream.try_write(parts, error)) {
    error = co_await connection.stream.finish_write(parts, timeouts.between_bytes);
  }
  if (!error) co_return co_await read_reply(connection, kind, steady_clock::now() + timeouts.header);
  // A server that refuses by the head may answer before it has taken the body.
  if (connection.reused || !connection.stream.has_unexpected_input()) {
    throw AttemptFailed{FailedAt::sending, error};
  }
  try {
    co_return co_await read_reply(connection, kind, steady_clock::now() + early_reply_time);
  } catch (const AttemptFailed&) {
    throw AttemptFailed{FailedAt::sending, error};
  }
}

Task<std::unique_ptr<ClientResponse>> HttpClient::send(ClientRequest request) {
  if (std::ranges::any_of(request.target,
                          [](char c) { return static_cast<unsigned char>(c) <= ' ' || c == 0x7f; })) {
    throw ClientError(FailedAt::sending, "the target holds a space or a control character");
  }
  const auto head = impl_->render(request);
  const auto executor = co_await asio::this_coro::executor;
  auto connection = impl_->pool->take(loop_of(executor));
  for (;;) {
    if (!connection) connection = co_await impl_->connect();
    std::optional<AttemptFailed> failed;
    try {
      auto parser = co_await impl_->exchange(*connection, request, head);
      co_return std::make_unique<Response>(impl_->pool, std::move(connection), std::move(parser),
                                           impl_->timeouts.between_bytes);
    } catch (const AttemptFailed& attempt) {
      failed = attempt;
    }
    // A kept connection that the other side closed before it saw the request says nothing about the server;
    // one that let the deadline pass does.
    const bool stale = connection->reused && !failed->reply_begun &&
                       failed->error != asio::error::timed_out &&
                       failed->error != asio::error::operation_aborted;
    if (!stale) throw_failure(failed->stage, failed->error);
    connection.reset();
  }
}

}  // namespace hearth::net
