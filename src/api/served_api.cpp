#include "api/served_api.hpp"

#include "api/call.hpp"
#include "contract/handlers.hpp"
#include "contract/openapi.hpp"

namespace hearth::api {

const ServedApi& own_api() {
  static const ServedApi api{.operations = contract::generated_operations,
                             .validator = contract::Validator::api(),
                             .openapi = contract::openapi_json(),
                             .handle = [](Services& services, Call& call) {
                               return find_handler(call.operation.id)(services, call);
                             }};
  return api;
}

}  // namespace hearth::api
