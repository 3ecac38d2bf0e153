// The part of ReplySender that opens sockets.
#include <stdexcept>
#include <utility>

#include <fmt/format.h>

#include "api/reply_sender.hpp"
#include "api/socket_session.hpp"
#include "net/web_socket.hpp"

namespace hearth::api {
namespace {

// For the log.
std::string outcome_of(const net::SocketEnd& end) {
  using namespace net::close_code;
  if (end.by == net::SocketEnd::By::server) return "ok";
  if (end.code == lost) return "client_gone";
  const bool is_usual = end.code == normal || end.code == going_away || end.code == none_given;
  return is_usual ? "ok" : fmt::format("closed_{}", end.code);
}

}  // namespace

Task<void> ReplySender::open_socket(Exchange& exchange, contract::Reply reply) const {
  const contract::Operation& operation = *exchange.operation;
  auto& conversation = std::get<contract::Conversation>(reply.body);
  if (!exchange.offer) throw std::logic_error("a conversation without a socket");
  constexpr int switching_protocols = 101;
  reply.status = switching_protocols;
  const net::SocketOptions options{
      .subprotocol = std::string(exchange.offer->choose(operation.socket->subprotocols)),
      .headers = head_of(exchange, reply, {}).headers,
      .message_bytes = operation.socket->message_limit};
  exchange.status = switching_protocols;
  const auto converse = [&](net::WebSocket& socket) -> Task<void> {
    SocketSession session(socket, operation, validator_, ids_);
    exchange.outcome = co_await session.run(std::move(conversation), socket_time_);
  };
  const auto end = co_await exchange.response.upgrade(*exchange.offer, options, std::ref(converse));
  if (exchange.outcome == "ok") exchange.outcome = outcome_of(end);
  exchange.end_metered();
}

}  // namespace hearth::api
