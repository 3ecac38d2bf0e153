// POST /chat/completions and the five operations on stored ones.
#include <optional>

#include "api/administration.hpp"
#include "api/call.hpp"
#include "api/metadata.hpp"
#include "api/metering.hpp"
#include "api/pages.hpp"
#include "api/refusals.hpp"
#include "api/requester.hpp"
#include "api/services.hpp"
#include "base/api_error.hpp"
#include "contract/fields.hpp"
#include "contract/handlers.hpp"
#include "domain/stored_chat.hpp"

namespace hearth::api {
namespace {

namespace field = contract::field;

// `store` and `metadata` are ours: engines never see them. nullopt when nothing is to be stored.
std::optional<json::value> take_store_options(json::object& request) {
  const bool wanted = json::find_bool(request, field::store).value_or(false);
  json::value metadata = nullptr;
  if (json::value* given = request.if_contains(field::metadata)) metadata = std::move(*given);
  request.erase(field::store);
  request.erase(field::metadata);
  if (!wanted && metadata.is_object() && !metadata.get_object().empty()) {
    throw ApiError::invalid_request("invalid_value", "'metadata' is only allowed when 'store' is true.",
                                    std::string(field::metadata));
  }
  if (!wanted) return std::nullopt;
  return metadata;
}

Task<void> store_completion(Services& services, Call& call, const json::object& reply, json::value metadata) {
  const json::object& request = call.body_object();
  store::NewChatCompletion made;
  made.record = {.id = CompletionId(std::string(*json::find_string(reply, field::id))),
                 .created_at = *json::find_integer(reply, field::created),
                 .model = std::string(*json::find_string(reply, field::model)),
                 .request = json::write(domain::describe_stored_parameters(request, call.request_id.str())),
                 .response = json::write(reply),
                 .metadata = read_metadata(metadata)};
  for (json::object& message : domain::describe_stored_messages(request)) {
    made.messages.push_back(json::write(std::move(message)));
  }
  co_await services.objects.chat_completions.create(tenant_of(call), std::move(made));
}

Task<contract::Reply> stream_chat(Services& services, Call& call, std::optional<json::value> metadata) {
  using Keep = domain::GenerationStream::Keep;
  auto stream = co_await services.models.inference.stream_chat(call.body_object(), *call.metered,
                                                               metadata ? Keep::whole : Keep::nothing);
  co_return contract::Reply::stream(
      [&services, &call, stream = std::move(stream),
       metadata = std::move(metadata)](contract::EventSink& sink) mutable -> Task<void> {
        while (const json::value* chunk = co_await stream->next())
          co_await sink.send("", *chunk);
        if (metadata) co_await store_completion(services, call, stream->whole(), std::move(*metadata));
      });
}

// Texts of our own in the store: always objects.
json::object parse_own(std::string_view text) {
  return std::move(json::parse(text).value().get_object());
}

json::value render_stored(const store::ChatCompletionRecord& record) {
  json::object out = parse_own(record.response);
  for (auto& member : parse_own(record.request))
    out.emplace(member.key(), std::move(member.value()));
  out[field::metadata] = render_metadata(record.metadata);
  return out;
}

json::value render_message(const store::ChatCompletionMessage& message) {
  json::object out{{field::id, message.id}};
  for (auto& member : parse_own(message.message))
    out.emplace(member.key(), std::move(member.value()));
  return out;
}

}  // namespace

Task<contract::Reply> create_chat_completion(Services& services, Call& call) {
  co_await meter(services, call);
  json::object& request = call.body_object();
  auto metadata = take_store_options(request);
  if (json::find_bool(request, field::stream).value_or(false)) {
    co_return co_await stream_chat(services, call, std::move(metadata));
  }
  json::object reply = co_await services.models.inference.chat(request, *call.metered);
  if (metadata) co_await store_completion(services, call, reply, std::move(*metadata));
  co_return contract::Reply::of(std::move(reply));
}

Task<contract::Reply> list_chat_completions(Services& services, Call& call) {
  store::ChatCompletionFilter filter;
  if (const auto model = json::find_string(call.query, field::model)) filter.model = std::string(*model);
  if (const json::object* metadata = json::find_object(call.query, field::metadata)) {
    filter.metadata = read_metadata(*metadata);
  }
  auto page = co_await services.objects.chat_completions.list(tenant_of(call), std::move(filter),
                                                              read_page(call.query));
  co_return contract::Reply::of(render_page(std::move(page), render_stored));
}

Task<contract::Reply> get_chat_completion(Services& services, Call& call) {
  co_return contract::Reply::of(render_stored(accept(co_await services.objects.chat_completions.get(
      tenant_of(call), read_id<CompletionId>(call, field::completion_id)))));
}

Task<contract::Reply> update_chat_completion(Services& services, Call& call) {
  co_return contract::Reply::of(
      render_stored(accept(co_await services.objects.chat_completions.update_metadata(
          tenant_of(call), read_id<CompletionId>(call, field::completion_id),
          read_metadata(call.body_object().at(field::metadata))))));
}

Task<contract::Reply> delete_chat_completion(Services& services, Call& call) {
  const auto id = read_id<CompletionId>(call, field::completion_id);
  accept(co_await services.objects.chat_completions.remove(tenant_of(call), id));
  co_return reply_deleted("chat.completion.deleted", id.str());
}

Task<contract::Reply> list_chat_completion_messages(Services& services, Call& call) {
  auto page = co_await services.objects.chat_completions.list_messages(
      tenant_of(call), read_id<CompletionId>(call, field::completion_id), read_page(call.query));
  co_return contract::Reply::of(render_page(accept(std::move(page)), render_message));
}

}  // namespace hearth::api
