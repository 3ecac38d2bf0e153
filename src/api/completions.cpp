// POST /completions.
#include "api/call.hpp"
#include "api/metering.hpp"
#include "api/services.hpp"
#include "contract/fields.hpp"
#include "contract/handlers.hpp"

namespace hearth::api {

namespace field = contract::field;

Task<contract::Reply> create_completion(Services& services, Call& call) {
  co_await meter(services, call);
  const json::object& request = call.body_object();
  if (!json::find_bool(request, field::stream).value_or(false)) {
    co_return contract::Reply::of(co_await services.models.inference.complete(request, *call.metered));
  }
  auto stream = co_await services.models.inference.stream_complete(request, *call.metered);
  co_return contract::Reply::stream(
      [stream = std::move(stream)](contract::EventSink& sink) mutable -> Task<void> {
        while (const json::value* chunk = co_await stream->next())
          co_await sink.send("", *chunk);
      });
}

}  // namespace hearth::api
