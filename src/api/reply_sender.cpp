#include "api/reply_sender.hpp"

#include <stdexcept>
#include <utility>

#include "api/error_reply.hpp"
#include "contract/gate.hpp"

namespace hearth::api {
namespace {

constexpr std::string_view json_type = "application/json";

}  // namespace

net::ResponseHead ReplySender::head_of(const Exchange& exchange, contract::Reply& reply,
                                       std::string_view content_type) const {
  net::ResponseHead head = heads_.make(exchange, reply.status, content_type);
  for (auto& [name, value] : reply.headers)
    head.headers.add(std::move(name), std::move(value));
  return head;
}

Task<void> ReplySender::send(Exchange& exchange, contract::Reply reply) const {
  if (std::holds_alternative<contract::Conversation>(reply.body)) {
    co_await open_socket(exchange, std::move(reply));
    co_return;
  }
  if (exchange.offer) throw std::logic_error("the handler of a socket gave another reply");
  if (std::holds_alternative<contract::EventProducer>(reply.body)) {
    co_await send_events(exchange, std::move(reply));
    co_return;
  }
  if (std::holds_alternative<contract::StoredBytes>(reply.body)) {
    co_await send_stored(exchange, std::move(reply));
    co_return;
  }
  if (std::holds_alternative<contract::LiveBytes>(reply.body)) {
    co_await send_live(exchange, std::move(reply));
    co_return;
  }
  std::string body;
  std::string_view type = json_type;
  if (const auto* document = std::get_if<json::value>(&reply.body)) {
    contract::gate::check_reply(validator_, *exchange.operation, reply.status, *document);
    json::write_to(body, *document);
  } else {
    auto& bytes = std::get<contract::BytesBody>(reply.body);
    contract::gate::check_bytes_reply(*exchange.operation, reply.status, bytes.content_type);
    type = bytes.content_type;
    body = std::move(bytes.bytes);
  }
  net::ResponseHead head = head_of(exchange, reply, type);
  exchange.status = reply.status;
  exchange.end_metered();
  co_await exchange.response.send(std::move(head), std::move(body));
}

Task<void> ReplySender::send_error(Exchange& exchange, const ApiError& error) const {
  if (exchange.response.begun()) throw net::ConnectionLost("the reply was cut off");
  const json::value body = render_error(error);
  contract::gate::check_error(validator_, exchange.operation, error.status(), body);
  net::ResponseHead head = heads_.make(exchange, error.status(), json_type);
  if (!exchange.allow.empty()) head.headers.add("allow", exchange.allow);
  if (!exchange.content_range.empty()) head.headers.add("content-range", exchange.content_range);
  add_error_headers(head.headers, error);
  exchange.status = error.status();
  exchange.end_metered();
  co_await exchange.response.send(std::move(head), json::write(body));
}

}  // namespace hearth::api
