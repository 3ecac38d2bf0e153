// POST /embeddings.
#include "api/call.hpp"
#include "api/requester.hpp"
#include "api/services.hpp"
#include "contract/handlers.hpp"

namespace hearth::api {

Task<contract::Reply> create_embedding(Services& services, Call& call) {
  const engine::CallContext context = context_of(call);
  co_return contract::Reply::of(
      co_await services.models.inference.embed(call.body_object(), call.project(), context));
}

}  // namespace hearth::api
