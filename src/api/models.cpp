// GET /models, GET /models/{model}, DELETE /models/{model}.
#include <fmt/format.h>

#include "api/call.hpp"
#include "api/services.hpp"
#include "base/api_error.hpp"
#include "contract/fields.hpp"
#include "contract/handlers.hpp"

namespace hearth::api {
namespace {

namespace field = contract::field;

json::value render_model(const engine::Model& model) {
  return {{field::id, model.id},
          {field::object, "model"},
          {field::created, model.created},
          {field::owned_by, model.owned_by}};
}

}  // namespace

Task<contract::Reply> list_models(Services& services, Call& call) {
  json::array data;
  const auto snapshot = co_await services.models.directory.current();
  for (const engine::Model& model : snapshot->list(call.project())) {
    data.push_back(render_model(model));
  }
  co_return contract::Reply::of({{field::object, "list"}, {field::data, std::move(data)}});
}

Task<contract::Reply> retrieve_model(Services& services, Call& call) {
  const std::string_view name = call.path_string(field::model);
  const auto snapshot = co_await services.models.directory.current();
  const engine::Model* model = snapshot->find(name, call.project());
  if (!model) throw ApiError::model_not_found(name);
  engine::Model shown = *model;
  shown.id = name;  // an alias answers under its own name
  co_return contract::Reply::of(render_model(shown));
}

Task<contract::Reply> delete_model(Services& services, Call& call) {
  const std::string name(call.path_string(field::model));
  const auto snapshot = co_await services.models.directory.current();
  const engine::Model* model = snapshot->find(name, call.project());
  if (!model) throw ApiError::model_not_found(name);
  if (!model->fine_tuned || model->id != name) {
    throw ApiError::permission_denied(
        fmt::format("'{}' is a model of the catalogue; only fine-tuned models can be deleted here.", name));
  }
  co_await services.models.directory.remove(*model);
  co_return contract::Reply::of({{field::id, name}, {field::object, "model"}, {field::deleted, true}});
}

}  // namespace hearth::api
