// POST /embeddings.
#include "api/requester.hpp"
#include "api/services.hpp"
#include "contract/call.hpp"
#include "contract/handlers.hpp"

namespace hearth::api {

Task<contract::Reply> create_embedding(Services& services, contract::Call& call) {
  const engine::CallContext context = context_of(call);
  co_return contract::Reply::of(
      co_await services.inference.embed(call.body_object(), call.project(), context));
}

}  // namespace hearth::api
