#include "net/http_server.hpp"

#include <arpa/inet.h>
#include <charconv>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdexcept>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "async/deadline.hpp"
#include "async/scope.hpp"
#include "base/log.hpp"
#include "net/http_session.hpp"

namespace hearth::net {
namespace {

namespace asio = boost::asio;
using Protocol = asio::generic::stream_protocol;
using Endpoint = Protocol::endpoint;
using Acceptor = asio::basic_socket_acceptor<Protocol>;
using std::chrono::steady_clock;

constexpr auto as_result = asio::as_tuple(asio::use_awaitable);
constexpr auto accept_pause = std::chrono::milliseconds(100);
constexpr int backlog = 4096;
constexpr std::string_view unix_prefix = "unix:";
constexpr std::string_view busy_reply =
    "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\ncontent-length: 140\r\n"
    "retry-after: 1\r\nconnection: close\r\n\r\n"
    R"({"error":{"message":"The server holds as many connections as it may. Try again soon.","type":"server_error","param":null,"code":"too_busy"}})";
static_assert(busy_reply.size() - busy_reply.find("\r\n\r\n") - 4 == 140);

[[noreturn]] void fail(const std::string& address, const std::string& cause) {
  throw std::runtime_error("cannot listen on " + address + ": " + cause);
}

std::string describe(const Endpoint& endpoint, const std::string& path) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (endpoint.data()->sa_family == AF_INET) {
    const auto* address = reinterpret_cast<const sockaddr_in*>(endpoint.data());
    ::inet_ntop(AF_INET, &address->sin_addr, text.data(), text.size());
    return std::string(text.data()) + ":" + std::to_string(ntohs(address->sin_port));
  }
  if (endpoint.data()->sa_family == AF_INET6) {
    const auto* address = reinterpret_cast<const sockaddr_in6*>(endpoint.data());
    ::inet_ntop(AF_INET6, &address->sin6_addr, text.data(), text.size());
    return "[" + std::string(text.data()) + "]:" + std::to_string(ntohs(address->sin6_port));
  }
  return std::string(unix_prefix) + path;
}

// "host:port" or "[v6]:port". A name is resolved here, at start, so blocking does no harm.
Endpoint resolve(asio::io_context& context, const std::string& text) {
  const auto colon = text.rfind(':');
  if (colon == std::string::npos) fail(text, "the port is missing");
  auto host = text.substr(0, colon);
  const auto digits = std::string_view(text).substr(colon + 1);
  std::uint16_t port = 0;
  const auto [end, wrong] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (digits.empty() || wrong != std::errc() || end != digits.data() + digits.size()) {
    fail(text, "the port is not a number up to 65535");
  }
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  ErrorCode error;
  const auto address = asio::ip::make_address(host, error);
  if (!error) return asio::ip::tcp::endpoint(address, port);
  asio::ip::tcp::resolver resolver(context);
  const auto found = resolver.resolve(host, "", error);
  if (error) fail(text, error.message());
  auto chosen = found.begin()->endpoint();
  for (const auto& entry : found) {
    if (entry.endpoint().address().is_v4()) {
      chosen = entry.endpoint();
      break;
    }
  }
  chosen.port(port);
  return chosen;
}

// A socket file on which no server answers was left by a dead server.
void remove_stale_socket(asio::io_context& context, const std::string& address, const std::string& path) {
  struct stat status{};
  if (::lstat(path.c_str(), &status) != 0) return;
  if (!S_ISSOCK(status.st_mode)) fail(address, "the path exists and is not a socket");
  asio::local::stream_protocol::socket probe(context);
  ErrorCode error;
  probe.connect(path, error);
  if (!error) fail(address, "another server listens there");
  ::unlink(path.c_str());
}

std::unique_ptr<asio::ssl::context> make_tls(const std::string& address, const TlsOptions& options) {
  auto context = std::make_unique<asio::ssl::context>(asio::ssl::context::tls_server);
  SSL_CTX_set_min_proto_version(context->native_handle(), TLS1_2_VERSION);
  // Sessions are resumed by tickets, which single connections can do without (ClientTrust::prepare).
  SSL_CTX_set_session_cache_mode(context->native_handle(), SSL_SESS_CACHE_OFF);
  ClientTrust::install(context->native_handle());
  ErrorCode error;
  context->use_certificate_chain_file(options.certificate_file, error);
  if (error) fail(address, "certificate " + options.certificate_file + ": " + error.message());
  context->use_private_key_file(options.key_file, asio::ssl::context::pem, error);
  if (error) fail(address, "key " + options.key_file + ": " + error.message());
  return context;
}

}  // namespace

struct HttpServer::Impl {
  struct Listener {
    Acceptor acceptor;
    std::unique_ptr<asio::ssl::context> tls;
    std::string path;  // of a UNIX socket
  };
  // The sessions of one io loop; used on that loop only.
  struct Loop {
    explicit Loop(async::Executor ex) : executor(ex), scope(ex) {}
    async::Executor executor;
    async::Scope scope;
    boost::intrusive::list<HttpSession, boost::intrusive::constant_time_size<false>> sessions;
    bool draining = false;
  };
  // What shutdown() tells serve(). Shared: shutdown()'s message may arrive after the server's end.
  struct Control {
    explicit Control(const async::Executor& executor) : changed(executor, steady_clock::time_point::max()) {}
    bool stopping = false;
    TimePoint cut_at = TimePoint::max();
    asio::steady_timer changed;  // cancelled when one of the above has
  };

  Impl(async::Runtime& r, RequestHandler& handler, ServerLimits limits)
      : runtime(r), context{handler, limits, {}, nullptr}, control(std::make_shared<Control>(r.executor(0))) {
    for (std::size_t i = 0; i < runtime.size(); ++i)
      loops.push_back(std::make_unique<Loop>(runtime.executor(i)));
  }

  Task<void> serve();
  Task<void> accept(Listener& listener);
  Task<void> cut_when_due();
  static Task<void> run_session(SessionContext& context, Loop& loop, Socket socket, asio::ssl::context* tls);
  void refuse(Socket socket);

  async::Runtime& runtime;
  SessionContext context;
  std::shared_ptr<Control> control;
  std::vector<std::unique_ptr<Listener>> listeners;
  std::vector<std::unique_ptr<Loop>> loops;
  std::size_t next_loop = 0;
};

HttpServer::HttpServer(async::Runtime& runtime, RequestHandler& handler, ServerLimits limits)
    : impl_(std::make_unique<Impl>(runtime, handler, limits)) {}

HttpServer::~HttpServer() = default;

void HttpServer::demand_certificates(ClientTrustSource& source) {
  impl_->context.client_trust = &source;
}

std::string HttpServer::listen(const ListenAddress& address) {
  const auto executor = impl_->runtime.executor(0);
  auto& io = static_cast<asio::io_context&>(asio::query(executor, asio::execution::context));
  auto listener = std::make_unique<Impl::Listener>(Acceptor(executor), nullptr, std::string());
  if (address.tls) listener->tls = make_tls(address.text, *address.tls);
  ErrorCode error;
  Endpoint endpoint;
  if (address.text.starts_with(unix_prefix)) {
    listener->path = address.text.substr(unix_prefix.size());
    if (listener->path.empty() || listener->path.size() >= sizeof(sockaddr_un::sun_path)) {
      fail(address.text, "the path is empty or too long");
    }
    remove_stale_socket(io, address.text, listener->path);
    endpoint = asio::local::stream_protocol::endpoint(listener->path);
  } else {
    endpoint = resolve(io, address.text);
  }
  auto& acceptor = listener->acceptor;
  acceptor.open(endpoint.protocol(), error);
  if (error) fail(address.text, error.message());
  if (listener->path.empty()) {
    acceptor.set_option(Acceptor::reuse_address(true), error);
  } else {
    // Before bind(): the file never exists with another mode.
    ::fchmod(acceptor.native_handle(), S_IRUSR | S_IWUSR);
  }
  acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(backlog, error);
  if (error) fail(address.text, error.message());
  const auto bound = describe(acceptor.local_endpoint(), listener->path);
  impl_->listeners.push_back(std::move(listener));
  return bound;
}

Task<void> HttpServer::serve() {
  co_await asio::co_spawn(impl_->runtime.executor(0), impl_->serve(), asio::use_awaitable);
}

Task<void> HttpServer::Impl::serve() {
  // It must wait for its sessions to end; shutdown() is the way to stop it.
  co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  async::Scope accepting(runtime.executor(0));
  for (auto& listener : listeners)
    accepting.spawn("accept", accept(*listener));
  while (!control->stopping)
    co_await control->changed.async_wait(as_result);
  accepting.cancel();
  co_await accepting.join();
  for (auto& listener : listeners) {
    ErrorCode ignored;
    listener->acceptor.close(ignored);
    if (!listener->path.empty()) ::unlink(listener->path.c_str());
  }
  for (auto& loop : loops) {
    asio::post(loop->executor, [loop = loop.get()] {
      loop->draining = true;
      for (auto& session : loop->sessions)
        session.drain();
    });
  }
  async::Scope ending(runtime.executor(0));
  ending.spawn("cut", cut_when_due());
  for (auto& loop : loops)
    co_await asio::co_spawn(loop->executor, loop->scope.join(), asio::use_awaitable);
  ending.cancel();
  co_await ending.join();
}

Task<void> HttpServer::Impl::cut_when_due() {
  while (steady_clock::now() < control->cut_at) {
    control->changed.expires_at(control->cut_at);
    co_await control->changed.async_wait(as_result);
  }
  for (auto& loop : loops) {
    asio::post(loop->executor, [loop = loop.get()] {
      for (auto& session : loop->sessions)
        session.cut();
      loop->scope.cancel();
    });
  }
}

Task<void> HttpServer::Impl::accept(Listener& listener) {
  for (;;) {
    auto& loop = *loops[next_loop++ % loops.size()];
    auto [error, socket] = co_await listener.acceptor.async_accept(loop.executor, as_result);
    if (error == asio::error::operation_aborted) co_return;
    if (error) {
      // The process is most likely out of descriptors: connections wait in the backlog until some are free
      // again.
      log::warn("accept failed", {{"cause", error.message()}});
      co_await async::sleep_for(accept_pause);
      continue;
    }
    ++context.counters.accepted;
    if (context.counters.open >= context.limits.connections) {
      ++context.counters.refused;
      refuse(std::move(socket));
      continue;
    }
    ++context.counters.open;
    asio::post(loop.executor, [this, &loop, tls = listener.tls.get(), socket = std::move(socket)]() mutable {
      loop.scope.spawn("session", run_session(context, loop, std::move(socket), tls));
    });
  }
}

Task<void> HttpServer::Impl::run_session(SessionContext& context, Loop& loop, Socket socket,
                                         asio::ssl::context* tls) {
  struct Open {
    ~Open() { --counters.open; }
    SessionCounters& counters;
  } open{context.counters};
  HttpSession session(context, std::move(socket), tls);
  loop.sessions.push_back(session);
  if (loop.draining) session.drain();
  co_await session.run();
}

// It writes what goes out without waiting: an overloaded server need not do more.
void HttpServer::Impl::refuse(Socket socket) {
  const int handle = socket.native_handle();
  ::send(handle, busy_reply.data(), busy_reply.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  ::shutdown(handle, SHUT_WR);
  std::array<char, 4096> sink;
  ::recv(handle, sink.data(), sink.size(), MSG_DONTWAIT);
}

void HttpServer::shutdown(std::chrono::milliseconds deadline) {
  const auto cut_at = steady_clock::now() + deadline;
  asio::post(impl_->runtime.executor(0), [control = impl_->control, cut_at] {
    control->stopping = true;
    control->cut_at = std::min(control->cut_at, cut_at);
    control->changed.cancel();
  });
}

ServerStatistics HttpServer::statistics() const {
  const auto& counters = impl_->context.counters;
  return {counters.open, counters.accepted, counters.refused, counters.timed_out};
}

}  // namespace hearth::net
