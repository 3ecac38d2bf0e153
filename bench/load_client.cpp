// A client that is quicker than what it measures: keeps N connections busy with one request and times the
// replies.
//
//   load_client --port N --body FILE [--key KEY] [--path P] [--connections N] [--requests N] [--seconds S]
//   [--rate R]
//               [--deadline S]
//
// One thread, epoll, 127.0.0.1. Ends after --requests per connection (0 = any number) or after --seconds,
// when running requests still get their reply, or at --deadline. With --rate requests begin at that pace over
// all connections (a request that is late counts from when it was due); otherwise each connection begins anew
// when its reply has ended. A reply counts as failed unless it is a complete 200 without an error event, and,
// being a stream, ends with [DONE]. Prints one line of JSON; times are milliseconds.
#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <fstream>
#include <map>
#include <netinet/tcp.h>
#include <sstream>
#include <string>
#include <string_view>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

namespace {

using SteadyClock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

struct Options {
  int port = 0;
  std::string path = "/v1/chat/completions";
  std::string body_file;
  std::string key;
  int connections = 1;
  int requests = 0;
  double seconds = 0;
  double rate = 0;
  double deadline = 300;
};

double milliseconds(SteadyClock::duration time) {
  return std::chrono::duration<double, std::milli>(time).count();
}

// Reads one reply, whose body is of known length or chunked.
class ReplyReader {
 public:
  void reset() { *this = ReplyReader{}; }

  // True when the reply is complete.
  bool read(std::string_view bytes) {
    raw_.append(bytes);
    if (body_at_ == 0 && !read_head()) return false;
    return chunked_ ? read_chunks() : read_rest();
  }

  bool is_ok() const { return raw_.starts_with("HTTP/1.1 200"); }
  bool is_stream() const { return chunked_; }
  const std::string& body() const { return body_; }
  const std::string& raw() const { return raw_; }

 private:
  bool read_head() {
    const std::size_t end = raw_.find("\r\n\r\n");
    if (end == std::string::npos) return false;
    std::string head = raw_.substr(0, end);
    std::transform(head.begin(), head.end(), head.begin(), [](unsigned char c) { return std::tolower(c); });
    chunked_ = head.find("transfer-encoding: chunked") != std::string::npos;
    if (const auto at = head.find("content-length:"); at != std::string::npos)
      length_ = std::strtoul(head.c_str() + at + 15, nullptr, 10);
    body_at_ = at_ = end + 4;
    return true;
  }

  bool read_rest() {
    if (raw_.size() - body_at_ < length_) return false;
    body_ = raw_.substr(body_at_, length_);
    return true;
  }

  bool read_chunks() {
    for (;;) {
      const std::size_t line = raw_.find("\r\n", at_);
      if (line == std::string::npos) return false;
      std::size_t size = 0;
      std::from_chars(raw_.data() + at_, raw_.data() + line, size, 16);
      if (raw_.size() < line + 2 + size + 2) return false;
      body_.append(raw_, line + 2, size);
      at_ = line + 2 + size + 2;
      if (size == 0) return true;
    }
  }

  std::string raw_;
  std::string body_;
  std::size_t body_at_ = 0;
  std::size_t at_ = 0;
  std::size_t length_ = 0;
  bool chunked_ = false;
};

struct Connection {
  int socket = -1;
  int done = 0;
  int replies = 0;  // on this socket
  bool is_busy = false;
  bool has_first = false;
  SteadyClock::time_point began;
  SteadyClock::time_point first;
  ReplyReader reply;
};

class Client {
 public:
  explicit Client(const Options& options) : options_(options), connections_(options.connections) {
    std::ifstream file(options.body_file);
    std::stringstream body;
    body << file.rdbuf();
    const std::string text = body.str();
    request_ = "POST " + options.path +
               " HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: " +
               std::to_string(text.size()) + "\r\n";
    if (!options.key.empty()) request_ += "authorization: Bearer " + options.key + "\r\n";
    request_ += "\r\n" + text;
    poll_ = ::epoll_create1(EPOLL_CLOEXEC);
  }

  void run() {
    for (Connection& connection : connections_)
      connect(connection);
    start_ = SteadyClock::now();
    for (Connection& connection : connections_)
      idle(connection);
    std::vector<epoll_event> events(512);
    const auto deadline =
        start_ + std::chrono::duration_cast<SteadyClock::duration>(Seconds(options_.deadline));
    while ((running_ > 0 || may_begin()) && SteadyClock::now() < deadline) {
      begin_due();
      const timespec wait{0, options_.rate > 0 ? 50'000 : 100'000'000};
      const int count = ::epoll_pwait2(poll_, events.data(), static_cast<int>(events.size()), &wait, nullptr);
      for (int i = 0; i < count; ++i)
        serve(connections_[events[i].data.u32], events[i].events);
    }
    end_ = SteadyClock::now();
    failures_["unfinished"] += running_;
  }

  void print() {
    std::size_t failed = 0;
    std::string reasons;
    for (const auto& [reason, times] : failures_) {
      failed += times;
      if (times > 0) reasons += (reasons.empty() ? "" : "; ") + reason + " x" + std::to_string(times);
    }
    std::printf(
        "{\"seconds\":%.6f,\"requests\":%zu,\"failed\":%zu,\"reasons\":\"%s\",\"tokens\":%zu,\"events\":%zu,"
        "\"p50\":%.4f,\"p99\":%.4f,\"first_p50\":%.4f,\"first_p99\":%.4f}\n",
        Seconds(end_ - start_).count(), whole_.size(), failed, reasons.c_str(), tokens_, events_,
        quantile(whole_, 0.5), quantile(whole_, 0.99), quantile(first_, 0.5), quantile(first_, 0.99));
  }

 private:
  bool time_is_up() const {
    return options_.seconds > 0 && SteadyClock::now() - start_ >= Seconds(options_.seconds);
  }

  bool may_begin() const {
    if (time_is_up()) return false;
    return std::any_of(connections_.begin(), connections_.end(),
                       [&](const Connection& c) { return wants_more(c); });
  }

  bool wants_more(const Connection& connection) const {
    return options_.requests == 0 || connection.done < options_.requests;
  }

  void connect(Connection& connection) {
    connection.socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(options_.port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(connection.socket, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
      std::perror("load_client: connect");
      std::exit(1);
    }
    connection.replies = 0;
    const int on = 1;
    ::setsockopt(connection.socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    epoll_event wanted{};
    wanted.events = EPOLLIN;
    wanted.data.u32 = static_cast<std::uint32_t>(&connection - connections_.data());
    ::epoll_ctl(poll_, EPOLL_CTL_ADD, connection.socket, &wanted);
  }

  // The connection is free: it begins anew, or waits for its turn when requests are paced.
  void idle(Connection& connection) {
    if (options_.rate > 0) {
      free_.push_back(&connection);
    } else if (wants_more(connection) && !time_is_up()) {
      begin(connection, SteadyClock::now());
    }
  }

  void begin_due() {
    if (options_.rate <= 0 || time_is_up()) return;
    const auto now = SteadyClock::now();
    while (!free_.empty()) {
      const auto due =
          start_ + std::chrono::duration_cast<SteadyClock::duration>(Seconds(begun_ / options_.rate));
      if (due > now) return;
      Connection* connection = free_.front();
      free_.pop_front();
      if (wants_more(*connection)) begin(*connection, due);
    }
  }

  void begin(Connection& connection, SteadyClock::time_point due) {
    connection.reply.reset();
    connection.has_first = false;
    connection.began = due;
    connection.is_busy = true;
    ++running_;
    begun_ += 1;
    for (std::size_t sent = 0; sent < request_.size();) {
      const ssize_t now =
          ::send(connection.socket, request_.data() + sent, request_.size() - sent, MSG_NOSIGNAL);
      if (now <= 0) return lose(connection, "connection lost while sending");
      sent += static_cast<std::size_t>(now);
    }
  }

  // The server closed: between two requests, before it saw one that came on a kept connection, or in the
  // middle.
  void lose(Connection& connection, const char* reason) {
    const bool was_kept = connection.replies > 0 && connection.reply.raw().empty();
    ::close(connection.socket);
    connect(connection);
    if (!connection.is_busy) return;
    connection.is_busy = false;
    --running_;
    if (was_kept) {
      begun_ -= 1;
      return begin(connection, connection.began);
    }
    ++failures_[reason];
    ++connection.done;
    idle(connection);
  }

  void serve(Connection& connection, std::uint32_t) {
    char buffer[65536];
    const ssize_t got = ::recv(connection.socket, buffer, sizeof buffer, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) return lose(connection, "connection lost");
    const bool complete = connection.reply.read({buffer, static_cast<std::size_t>(got)});
    if (!connection.has_first && has_content(connection.reply.raw())) {
      connection.has_first = true;
      connection.first = SteadyClock::now();
    }
    if (complete) finish(connection);
  }

  // A delta that says something: a content that is a string and not empty.
  static bool has_content(std::string_view text) {
    constexpr std::string_view mark = "\"content\":\"";
    for (std::size_t at = 0; (at = text.find(mark, at)) != std::string_view::npos; at += mark.size()) {
      if (at + mark.size() < text.size() && text[at + mark.size()] != '"') return true;
    }
    return false;
  }

  void finish(Connection& connection) {
    const auto now = SteadyClock::now();
    const ReplyReader& reply = connection.reply;
    if (!reply.is_ok()) {
      ++failures_[reply.raw().substr(0, std::min<std::size_t>(12, reply.raw().find('\r')))];
    } else if (reply.body().find("\"error\":") != std::string::npos) {
      ++failures_["error event"];
    } else if (reply.is_stream() && reply.body().find("data: [DONE]") == std::string::npos) {
      ++failures_["no [DONE]"];
    } else {
      whole_.push_back(milliseconds(now - connection.began));
      if (connection.has_first) first_.push_back(milliseconds(connection.first - connection.began));
      count(reply.body());
    }
    connection.is_busy = false;
    ++connection.done;
    ++connection.replies;
    --running_;
    idle(connection);
  }

  void count(std::string_view body) {
    constexpr std::string_view mark = "\"completion_tokens\":";
    if (const auto at = body.rfind(mark); at != std::string_view::npos) {
      std::size_t tokens = 0;
      std::from_chars(body.data() + at + mark.size(), body.data() + body.size(), tokens);
      tokens_ += tokens;
    }
    for (std::size_t at = 0; (at = body.find("data: ", at)) != std::string_view::npos; at += 6)
      ++events_;
  }

  static double quantile(std::vector<double>& values, double part) {
    if (values.empty()) return 0;
    const auto nth =
        values.begin() + static_cast<std::ptrdiff_t>(part * static_cast<double>(values.size() - 1));
    std::nth_element(values.begin(), nth, values.end());
    return *nth;
  }

  Options options_;
  std::vector<Connection> connections_;
  std::deque<Connection*> free_;
  std::string request_;
  int poll_ = -1;
  std::size_t running_ = 0;
  double begun_ = 0;
  SteadyClock::time_point start_;
  SteadyClock::time_point end_;
  std::vector<double> whole_;
  std::vector<double> first_;
  std::map<std::string, std::size_t> failures_;
  std::size_t tokens_ = 0;
  std::size_t events_ = 0;
};

}  // namespace

int main(int count, char** arguments) {
  Options options;
  for (int i = 1; i + 1 < count; i += 2) {
    const std::string_view name = arguments[i];
    const char* value = arguments[i + 1];
    if (name == "--port") options.port = std::atoi(value);
    if (name == "--path") options.path = value;
    if (name == "--body") options.body_file = value;
    if (name == "--key") options.key = value;
    if (name == "--connections") options.connections = std::atoi(value);
    if (name == "--requests") options.requests = std::atoi(value);
    if (name == "--seconds") options.seconds = std::atof(value);
    if (name == "--rate") options.rate = std::atof(value);
    if (name == "--deadline") options.deadline = std::atof(value);
  }
  if (options.port == 0 || options.body_file.empty() || (options.requests == 0 && options.seconds <= 0)) {
    std::fputs("load_client: --port, --body, and --requests or --seconds\n", stderr);
    return 2;
  }
  Client client(options);
  client.run();
  client.print();
}
