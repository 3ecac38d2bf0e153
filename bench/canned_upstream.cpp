// An upstream that costs next to nothing, so that a bench measures what stands before it.
//
//   canned_upstream [--port N] [--chunks N] [--pace MS]
//
// One thread, epoll, raw sockets. It reads a request no further than to find its end, and answers with the
// same completion: as JSON, or, when the body holds `"stream":true`, as a stream of --chunks events, one
// write each. With
// --pace the events of a stream come that far apart; otherwise at once. Binds 127.0.0.1, prints its port,
// runs until it is killed.
#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <memory>
#include <netinet/tcp.h>
#include <string>
#include <string_view>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <unordered_map>
#include <vector>

namespace {

using SteadyClock = std::chrono::steady_clock;

struct Options {
  int port = 0;
  int chunks = 20;
  std::chrono::milliseconds pace{0};
};

std::string chunk(std::string_view payload) {
  char size[16];
  const int length = std::snprintf(size, sizeof size, "%zx\r\n", payload.size());
  return std::string(size, static_cast<std::size_t>(length)).append(payload).append("\r\n");
}

std::string event(std::string_view delta, std::string_view finish) {
  std::string json =
      R"(data: {"id":"chatcmpl-canned","object":"chat.completion.chunk","created":1745884800,"model":"canned",)"
      R"("system_fingerprint":"fp_canned","choices":[{"index":0,"delta":{)";
  json.append(delta).append(R"(},"logprobs":null,"finish_reason":)").append(finish).append("}]}\n\n");
  return chunk(json);
}

// What everybody is sent, made once.
struct Replies {
  std::string plain;
  std::string models;
  std::vector<std::string> stream;

  explicit Replies(int chunks) {
    std::string words;
    for (int i = 0; i < 8; ++i)
      words += "A canned sentence of some length. ";
    plain = json_reply(
        R"({"id":"chatcmpl-canned","object":"chat.completion","created":1745884800,"model":"canned",)"
        R"("choices":[{"index":0,"message":{"role":"assistant","content":")" +
        words +
        R"(","refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"stop"}],)"
        R"("usage":{"prompt_tokens":25,"completion_tokens":64,"total_tokens":89},)"
        R"("system_fingerprint":"fp_canned"})");
    models = json_reply(
        R"({"object":"list","data":[{"id":"canned","object":"model","created":0,"owned_by":"canned"}]})");
    stream.push_back(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n" +
        event(R"("role":"assistant","content":"")", "null"));
    for (int i = 2; i < chunks; ++i)
      stream.push_back(event(R"("content":" word")", "null"));
    const std::string usage =
        R"(data: {"id":"chatcmpl-canned","object":"chat.completion.chunk","created":1745884800,"model":"canned",)"
        R"("choices":[],"usage":{"prompt_tokens":25,"completion_tokens":18,"total_tokens":43}})"
        "\n\n";
    stream.push_back(event("", R"("stop")") + chunk(usage) + chunk("data: [DONE]\n\n") + "0\r\n\r\n");
  }

  static std::string json_reply(const std::string& body) {
    return "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: " +
           std::to_string(body.size()) + "\r\n\r\n" + body;
  }
};

struct Connection {
  int socket = -1;
  std::string input;
  std::string unsent;         // what the socket did not take
  std::size_t next_part = 0;  // of the stream; 0 = none runs
};

// A stream's next event and when it is due; all waits are equally long, so the queue is in order.
struct Due {
  SteadyClock::time_point at;
  int socket;
};

class Upstream {
 public:
  explicit Upstream(const Options& options) : options_(options), replies_(options.chunks) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const int on = 1;
    ::setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(options.port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), length) != 0 ||
        ::listen(listener_, 4096) != 0) {
      std::perror("canned_upstream");
      std::exit(1);
    }
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length);
    std::printf("%d\n", ntohs(address.sin_port));
    std::fflush(stdout);
    poll_ = ::epoll_create1(EPOLL_CLOEXEC);
    watch(listener_, EPOLLIN, EPOLL_CTL_ADD);
  }

  [[noreturn]] void run() {
    std::vector<epoll_event> events(1024);
    for (;;) {
      const int count = ::epoll_wait(poll_, events.data(), static_cast<int>(events.size()), wait_time());
      for (int i = 0; i < count; ++i) {
        if (events[i].data.fd == listener_) {
          accept_all();
        } else if (auto found = connections_.find(events[i].data.fd); found != connections_.end()) {
          serve(*found->second, events[i].events);
        }
      }
      send_due();
    }
  }

 private:
  void watch(int socket, std::uint32_t what, int operation) const {
    epoll_event wanted{};
    wanted.events = what;
    wanted.data.fd = socket;
    ::epoll_ctl(poll_, operation, socket, &wanted);
  }

  int wait_time() const {
    if (due_.empty()) return -1;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(due_.front().at - SteadyClock::now());
    return static_cast<int>(std::max<std::int64_t>(0, left.count()));
  }

  void accept_all() {
    for (int socket; (socket = ::accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
      const int on = 1;
      ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      auto& connection = connections_[socket] = std::make_unique<Connection>();
      connection->socket = socket;
      watch(socket, EPOLLIN, EPOLL_CTL_ADD);
    }
  }

  void close(Connection& connection) {
    const int socket = connection.socket;
    ::close(socket);
    connections_.erase(socket);
  }

  void serve(Connection& connection, std::uint32_t happened) {
    if ((happened & EPOLLOUT) != 0 && !flush(connection)) return close(connection);
    if ((happened & (EPOLLIN | EPOLLHUP | EPOLLERR)) == 0) return;
    char buffer[16384];
    const ssize_t got = ::recv(connection.socket, buffer, sizeof buffer, 0);
    if (got == 0 || (got < 0 && errno != EAGAIN)) return close(connection);
    if (got > 0) connection.input.append(buffer, static_cast<std::size_t>(got));
    while (const std::size_t length = request_length(connection.input)) {
      const bool ok = answer(connection, std::string_view(connection.input).substr(0, length));
      if (!ok) return close(connection);
      connection.input.erase(0, length);
    }
  }

  // Bytes of the first request, 0 while it is not complete.
  static std::size_t request_length(std::string_view input) {
    const std::size_t head = input.find("\r\n\r\n");
    if (head == std::string_view::npos) return 0;
    std::string fields(input.substr(0, head));
    std::transform(fields.begin(), fields.end(), fields.begin(),
                   [](unsigned char c) { return std::tolower(c); });
    std::size_t length = head + 4;
    if (const auto at = fields.find("content-length:"); at != std::string::npos) {
      length += std::strtoul(fields.c_str() + at + 15, nullptr, 10);
    } else if (fields.find("transfer-encoding:") != std::string::npos) {
      const std::size_t end = input.find("0\r\n\r\n", length);  // no body that a bench sends holds this text
      return end == std::string_view::npos ? 0 : end + 5;
    }
    return input.size() < length ? 0 : length;
  }

  bool answer(Connection& connection, std::string_view request) {
    if (request.starts_with("GET")) return send(connection, replies_.models);
    if (request.find("\"stream\":true") == std::string_view::npos) return send(connection, replies_.plain);
    connection.next_part = 0;
    if (options_.pace.count() > 0) {
      due_.push_back({SteadyClock::now(), connection.socket});
      return true;
    }
    for (const std::string& part : replies_.stream) {
      if (!send(connection, part)) return false;
    }
    return true;
  }

  void send_due() {
    const auto now = SteadyClock::now();
    while (!due_.empty() && due_.front().at <= now) {
      const Due due = due_.front();
      due_.pop_front();
      auto found = connections_.find(due.socket);
      if (found == connections_.end()) continue;
      Connection& connection = *found->second;
      if (connection.next_part >= replies_.stream.size()) continue;
      if (!send(connection, replies_.stream[connection.next_part++])) {
        close(connection);
      } else if (connection.next_part < replies_.stream.size()) {
        due_.push_back({due.at + options_.pace, due.socket});
      }
    }
  }

  // False when the client is gone.
  bool send(Connection& connection, std::string_view bytes) {
    if (connection.unsent.empty()) {
      const ssize_t sent = ::send(connection.socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent == static_cast<ssize_t>(bytes.size())) return true;
      if (sent < 0 && errno != EAGAIN) return false;
      bytes.remove_prefix(static_cast<std::size_t>(std::max<ssize_t>(sent, 0)));
      watch(connection.socket, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
    }
    connection.unsent.append(bytes);
    return true;
  }

  bool flush(Connection& connection) {
    const ssize_t sent =
        ::send(connection.socket, connection.unsent.data(), connection.unsent.size(), MSG_NOSIGNAL);
    if (sent < 0) return errno == EAGAIN;
    connection.unsent.erase(0, static_cast<std::size_t>(sent));
    if (connection.unsent.empty()) watch(connection.socket, EPOLLIN, EPOLL_CTL_MOD);
    return true;
  }

  Options options_;
  Replies replies_;
  int listener_ = -1;
  int poll_ = -1;
  std::unordered_map<int, std::unique_ptr<Connection>> connections_;
  std::deque<Due> due_;
};

}  // namespace

int main(int count, char** arguments) {
  Options options;
  for (int i = 1; i + 1 < count; i += 2) {
    const std::string_view name = arguments[i];
    const int value = std::atoi(arguments[i + 1]);
    if (name == "--port") options.port = value;
    if (name == "--chunks") options.chunks = std::max(2, value);
    if (name == "--pace") options.pace = std::chrono::milliseconds(value);
  }
  Upstream(options).run();
}
