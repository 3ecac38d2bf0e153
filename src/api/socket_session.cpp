#include "api/socket_session.hpp"

#include <exception>
#include <vector>

#include <fmt/format.h>

#include "async/deadline.hpp"
#include "async/interruptible.hpp"
#include "base/log.hpp"
#include "contract/gate.hpp"

namespace hearth::api {
namespace {

// A conversation that the client has left gets this time to take what was sent before and to end by itself.
constexpr std::chrono::milliseconds leaving_time{500};
constexpr std::string_view discriminator = "type";

json::value text_or_null(const std::optional<std::string>& text) {
  return text ? json::value(*text) : json::value(nullptr);
}

}  // namespace

Task<std::string> SocketSession::run(contract::Conversation conversation,
                                     std::chrono::milliseconds lifetime) {
  bool expired = false;
  std::optional<ApiError> failure;
  try {
    co_await async::run_unless(conversation(*this), until_over(lifetime, expired));
    if (expired) {
      failure = ApiError::invalid_request(
          "session_expired", fmt::format("The session has reached its longest duration of {} minutes.",
                                         std::chrono::duration_cast<std::chrono::minutes>(lifetime).count()));
    }
  } catch (const ApiError& error) {
    failure = error;
  } catch (const net::ConnectionLost&) {
    if (!socket_.end()) failure = ApiError::internal();  // another connection than this one
  } catch (const boost::system::system_error& error) {
    if (error.code() == boost::asio::error::operation_aborted) throw;
    log::error("conversation failed", {{"operation", operation_.name}, {"cause", error.what()}});
    failure = ApiError::internal();
  } catch (const std::exception& error) {
    log::error("conversation failed", {{"operation", operation_.name}, {"cause", error.what()}});
    failure = ApiError::internal();
  }
  if (!failure) co_return "ok";
  using namespace net::close_code;
  co_await part(*failure, expired ? normal : failure->status() >= 500 ? internal_error : policy_violation);
  co_return failure->code().value_or(failure->type());
}

Task<void> SocketSession::until_over(std::chrono::milliseconds lifetime, bool& expired) {
  try {
    co_await async::with_deadline(lifetime, socket_.ended());
  } catch (const async::DeadlineExceeded&) {
    expired = true;
    co_return;
  }
  co_await async::sleep_for(leaving_time);
}

Task<void> SocketSession::part(const ApiError& error, std::uint16_t code) {
  try {
    co_await send_error(error, {});
  } catch (const net::ConnectionLost&) {
    co_return;
  }
  co_await socket_.close(code, error.code().value_or(error.type()));
}

Task<std::optional<contract::ClientEvent>> SocketSession::receive() {
  while (auto message = co_await socket_.receive()) {
    if (message->kind == net::SocketMessage::Kind::binary) {
      co_await socket_.close(net::close_code::unsupported_data, "Events are JSON texts.");
      break;
    }
    std::string about;
    std::optional<ApiError> wrong;
    try {
      co_return read_event(message->data, about);
    } catch (const ApiError& error) {
      wrong = error;
    }
    co_await send_error(*wrong, about);
  }
  co_return std::nullopt;
}

contract::ClientEvent SocketSession::read_event(std::string_view text, std::string& about) const {
  auto parsed = json::Document::parse(text);
  if (!parsed) {
    throw ApiError::invalid_request("invalid_json", "The event is not valid JSON. " + parsed.error().message);
  }
  contract::ClientEvent event{.type = {}, .document = std::move(*parsed), .ignored = {}};
  about = event.id();
  const auto& form = form_of(event.document.root());
  event.type = form.name;
  if (auto violation = validator_.validate(form.schema, event.document.root(), contract::Strictness::request,
                                           &event.ignored)) {
    throw contract::to_error(std::move(*violation));
  }
  return event;
}

const contract::EventForm& SocketSession::form_of(const json::value& event) const {
  const json::object* object = event.if_object();
  if (!object) {
    throw ApiError::invalid_request(
        contract::code::type,
        fmt::format("An event is an object, but got {} instead.", json::kind_name(event)));
  }
  const json::value* type = json::find(*object, discriminator);
  if (!type) {
    throw ApiError::invalid_request(contract::code::missing, "Missing required parameter: 'type'.",
                                    std::string(discriminator));
  }
  const auto name = json::find_string(*object, discriminator);
  if (name) {
    if (const auto* form = contract::find_event_form(operation_.socket->client, *name)) return *form;
  }
  std::vector<std::string> known;
  for (const auto& form : operation_.socket->client)
    known.push_back(fmt::format("'{}'", form.name));
  throw ApiError::invalid_request(
      name ? contract::code::value : contract::code::type,
      fmt::format("Invalid value for 'type'. Supported values are: {}.", fmt::join(known, ", ")),
      std::string(discriminator));
}

Task<void> SocketSession::send(const json::value& event) {
  contract::gate::check_socket_event(validator_, operation_, event);
  co_await socket_.send({net::SocketMessage::Kind::text, json::write(event)});
}

Task<void> SocketSession::send_error(const ApiError& error, std::string_view about) {
  const json::value details = {{"type", error.type()},
                               {"code", text_or_null(error.code())},
                               {"message", error.message()},
                               {"param", text_or_null(error.param())},
                               {"event_id", about.empty() ? json::value(nullptr) : json::value(about)}};
  co_await send({{"event_id", ids_.make("event_")}, {"type", "error"}, {"error", details}});
}

}  // namespace hearth::api
