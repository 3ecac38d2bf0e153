// POST /embeddings.
#include "api/services.hpp"
#include "contract/call.hpp"
#include "contract/handlers.hpp"

namespace hearth::api {

Task<contract::Reply> create_embedding(Services& services, contract::Call& call) {
  const engine::CallContext context{call.request_id.str(), call.deadline};
  co_return contract::Reply::of(
      co_await services.inference.embed(call.body_object(), call.project(), context));
}

}  // namespace hearth::api
