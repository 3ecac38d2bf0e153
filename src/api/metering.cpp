#include "api/metering.hpp"

#include "contract/fields.hpp"
#include "domain/token_estimate.hpp"

namespace hearth::api {
namespace {

namespace field = contract::field;
using contract::Limited;

domain::Generates generated_by(const contract::Operation& operation) {
  return operation.usage == contract::UsageKind::completions ? domain::Generates::text
                                                             : domain::Generates::nothing;
}

domain::Work work_of(const Call& call, const engine::Model& model) {
  const contract::Operation& operation = call.operation;
  const json::object& body = call.body->get_object();
  domain::Work work{
      .limited = operation.limited, .usage = *operation.usage, .source = operation.usage_source};
  if (operation.limited == Limited::tokens) {
    work.tokens = domain::estimate_tokens(body, generated_by(operation), model.context);
  }
  if (operation.limited == Limited::images) work.images = json::find_integer(body, field::n).value_or(1);
  return work;
}

}  // namespace

Task<void> meter(Services& services, Call& call) {
  const std::string_view name = *json::find_string(call.body_object(), field::model);
  domain::Target target = co_await services.models.directory.get_target(name, call.project());
  const domain::Work work = work_of(call, *target.model);
  call.metered.emplace(services.metering.calls, domain::Payer::of(call.principal), std::move(target), work,
                       call.request_id.str(), call.deadline);
  co_await call.metered->reserve(call.access_epoch);
}

}  // namespace hearth::api
