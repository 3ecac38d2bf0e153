// One WebSocket on a session's stream: the parser, a queue in each direction and the coroutines that move
// bytes between them and the stream. Private to net/.
#pragma once

#include <chrono>
#include <deque>
#include <optional>
#include <string>

#include <boost/asio/steady_timer.hpp>

#include "net/http_server.hpp"
#include "net/stream.hpp"
#include "net/web_socket.hpp"
#include "net/web_socket_parser.hpp"

namespace hearth::net {

// Lives in the session's coroutine. Thread: the loop's.
class WebSocketConnection final : public WebSocket {
 public:
  // `in` holds what came behind the handshake.
  WebSocketConnection(Stream& stream, ReadBuffer& in, const SocketOptions& options,
                      const ServerLimits& limits);

  // Runs the conversation and the socket beside it, and closes the socket when the conversation returns
  // (1000) or throws (1011, and the exception goes on). Returns when nothing is left to say.
  Task<SocketEnd> run(SocketConversation conversation);
  // The server stops: closes with 1001.
  void go_away();
  // The connection failed; nothing can be said on it.
  bool is_lost() const { return lost_; }

  Task<std::optional<SocketMessage>> receive() override;
  Task<void> send(SocketMessage message) override;
  Task<void> close(std::uint16_t code, std::string reason) override;
  Task<void> ended() override;
  const SocketEnd* end() const override { return end_ ? &*end_ : nullptr; }

 private:
  using Clock = std::chrono::steady_clock;

  // A condition that changed. Whoever waits looks again.
  class Signal {
   public:
    explicit Signal(const async::Executor& executor) : timer_(executor, TimePoint::max()) {}
    Task<void> wait();
    void notify() { timer_.cancel(); }

   private:
    boost::asio::steady_timer timer_;
  };

  Task<void> guard(Task<void> pump);
  // The pumps: they run beside the conversation.
  Task<void> read_frames();
  Task<void> write_frames();
  Task<void> watch();

  // False when the input has come to its end.
  Task<bool> parse_input();
  // Lets the other coroutines of the loop run.
  Task<void> yield();
  // False after the last event.
  bool take(WebSocketParser::Event event);
  void note_progress();
  // Ends what has run out of time and pings a silent client; returns when to look again.
  TimePoint look(TimePoint now);
  bool has_room() const;

  // Queues the close frame, where none was; `end_` is set already.
  void say_goodbye(std::uint16_t code, std::string_view reason);
  void begin_close(std::uint16_t code, std::string_view reason, SocketEnd::By by);
  // Closes without waiting for an answer.
  void fail(std::uint16_t code, std::string_view reason);
  // The connection has failed: nothing more is read or written.
  void lose(std::string cause);
  void finish();
  void set_end(SocketEnd end);

  Stream& stream_;
  ReadBuffer& in_;
  const std::size_t queue_bytes_;
  const ServerLimits& limits_;
  WebSocketParser parser_;

  std::deque<SocketMessage> received_;
  std::size_t received_bytes_ = 0;
  std::string out_;             // frames that wait
  std::string batch_;           // frames that are being written
  std::size_t pong_bytes_ = 0;  // of them in out_

  Signal arrived_;    // received_ or end_
  Signal room_;       // in received_ or for pongs
  Signal to_write_;   // out_ or goodbye_at_
  Signal drained_;    // out_
  Signal ending_;     // end_
  Signal finishing_;  // finished_
  boost::asio::steady_timer watch_timer_;

  TimePoint heard_at_ = Clock::now();
  std::optional<TimePoint> pinged_at_;      // and not heard since
  std::optional<TimePoint> message_since_;  // its first byte
  std::optional<TimePoint> goodbye_at_;     // our close frame was queued
  bool reading_ = false;                    // the reader waits for the client, not the other way round
  bool goodbye_written_ = false;
  bool peer_done_ = false;  // its close frame came, or is not worth waiting for
  bool lost_ = false;
  bool finished_ = false;
  std::optional<SocketEnd> end_;
};

}  // namespace hearth::net
