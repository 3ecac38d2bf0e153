// POST /embeddings.
#include "api/call.hpp"
#include "api/metering.hpp"
#include "api/services.hpp"
#include "contract/handlers.hpp"

namespace hearth::api {

Task<contract::Reply> create_embedding(Services& services, Call& call) {
  co_await meter(services, call);
  co_return contract::Reply::of(co_await services.models.inference.embed(call.body_object(), *call.metered));
}

}  // namespace hearth::api
