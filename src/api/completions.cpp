// POST /completions.
#include "api/call.hpp"
#include "api/services.hpp"
#include "contract/fields.hpp"
#include "contract/handlers.hpp"

namespace hearth::api {

namespace field = contract::field;

Task<contract::Reply> create_completion(Services& services, Call& call) {
  const json::object& request = call.body_object();
  if (!json::find_bool(request, field::stream).value_or(false)) {
    co_return contract::Reply::of(
        co_await services.models.inference.complete(request, call.project(), call.context));
  }
  auto stream = co_await services.models.inference.stream_complete(request, call.project(), call.context);
  co_return contract::Reply::stream(
      [stream = std::move(stream)](contract::EventSink& sink) mutable -> Task<void> {
        while (auto chunk = co_await stream->next())
          co_await sink.send("", *chunk);
      });
}

}  // namespace hearth::api
