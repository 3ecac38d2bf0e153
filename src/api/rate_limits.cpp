// GET /organization/projects/{project_id}/rate_limits, POST …/rate_limits/{rate_limit_id}.
#include "store/rate_limits.hpp"

#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "api/call.hpp"
#include "api/pages.hpp"
#include "api/requester.hpp"
#include "api/services.hpp"
#include "base/api_error.hpp"
#include "contract/fields.hpp"
#include "contract/handlers.hpp"
#include "domain/rate_limiter.hpp"

namespace hearth::api {
namespace {

namespace field = contract::field;
using domain::unlimited;

// A limit's id is its model's with this in front: nothing has to be kept to find one from the other.
constexpr std::string_view id_prefix = "rl-";

std::string limit_id(std::string_view model) {
  return fmt::format("{}{}", id_prefix, model);
}

// Limits that do not hold are left out where the API lets them be, and are a number without end where not.
json::value render(std::string_view model, const domain::Limits& limits) {
  json::object out{{field::object, "project.rate_limit"},
                   {field::id, limit_id(model)},
                   {field::model, model},
                   {field::max_requests_per_1_minute, limits.requests},
                   {field::max_tokens_per_1_minute, limits.tokens}};
  const auto add = [&](std::string_view name, std::int64_t limit) {
    if (limit != unlimited) out[name] = limit;
  };
  add(field::max_images_per_1_minute, limits.images);
  if (limits.audio_bytes != unlimited) {
    out[field::max_audio_megabytes_per_1_minute] = limits.audio_bytes / domain::bytes_per_megabyte;
  }
  add(field::max_requests_per_1_day, limits.requests_per_day);
  add(field::batch_1_day_max_input_tokens, limits.batch_input_tokens_per_day);
  return out;
}

// What the configuration says of a model. Images and sound matter to models that draw or hear: today's
// capabilities are of text, so such limits show only where a project has set them.
domain::Limits shown_defaults(domain::Limits limits) {
  limits.images = unlimited;
  limits.audio_bytes = unlimited;
  return limits;
}

json::value render(const Services& services, std::string_view model, const store::RateLimitValues& values) {
  return render(model, domain::lay_over(shown_defaults(services.metering.rate_limiter.defaults()), values));
}

// The models that the project can use, by id: sorted.
std::vector<std::string> usable_models(const engine::CatalogueSnapshot& catalogue, const ProjectId& project) {
  std::vector<std::string> models;
  for (const engine::Model& model : catalogue.models()) {
    if (catalogue.find(model.id, project) == &model) models.push_back(model.id);
  }
  return models;
}

// The model in a list's cursor. It need not exist any more: the list goes on where it was.
std::optional<std::string> cursor_of(const json::object& query, std::string_view name) {
  const auto id = json::find_string(query, name);
  if (!id) return std::nullopt;
  if (!id->starts_with(id_prefix)) {
    throw ApiError::invalid_request("invalid_value", fmt::format("'{}' is not the id of a rate limit.", *id),
                                    std::string(name));
  }
  return std::string(id->substr(id_prefix.size()));
}

store::RateLimitValues read_values(const json::object& body) {
  return {.requests_per_minute = json::find_integer(body, field::max_requests_per_1_minute),
          .tokens_per_minute = json::find_integer(body, field::max_tokens_per_1_minute),
          .images_per_minute = json::find_integer(body, field::max_images_per_1_minute),
          .audio_megabytes_per_minute = json::find_integer(body, field::max_audio_megabytes_per_1_minute),
          .requests_per_day = json::find_integer(body, field::max_requests_per_1_day),
          .batch_input_tokens_per_day = json::find_integer(body, field::batch_1_day_max_input_tokens)};
}

}  // namespace

Task<contract::Reply> list_project_rate_limits(Services& services, Call& call) {
  const ProjectId project{std::string(call.path_string(field::project_id))};
  const auto after = cursor_of(call.query, field::after);
  const auto before = cursor_of(call.query, field::before);
  const auto limit = static_cast<std::size_t>(*json::find_integer(call.query, field::limit));
  const auto own = co_await services.organization.rate_limits.list(call.principal.organization, project);
  const auto catalogue = co_await services.models.directory.current();

  std::vector<std::string> models = usable_models(*catalogue, project);
  std::erase_if(models, [&](const std::string& model) {
    return (after && model <= *after) || (before && model >= *before);
  });
  const bool has_more = models.size() > limit;
  if (has_more) {
    // The page before a place is the nearest to it.
    const auto surplus = static_cast<std::ptrdiff_t>(models.size() - limit);
    if (before && !after) {
      models.erase(models.begin(), models.begin() + surplus);
    } else {
      models.erase(models.end() - surplus, models.end());
    }
  }
  json::array data;
  data.reserve(models.size());
  for (const std::string& model : models) {
    const auto found = own.find(model);
    data.push_back(render(services, model, found == own.end() ? store::RateLimitValues{} : found->second));
  }
  co_return contract::Reply::of(render_list(std::move(data), has_more));
}

Task<contract::Reply> update_project_rate_limits(Services& services, Call& call) {
  const std::string id(call.path_string(field::rate_limit_id));
  store::RateLimitChange change{.project = ProjectId(std::string(call.path_string(field::project_id))),
                                .id = id,
                                .values = read_values(call.body_object())};
  // A project of another organization is missed by change(), whatever it names.
  const auto catalogue = co_await services.models.directory.current();
  const engine::Model* model = nullptr;
  if (id.starts_with(id_prefix)) {
    change.model = id.substr(id_prefix.size());
    model = catalogue->find(change.model, change.project);
  }
  if (!model || model->id != change.model) {
    co_await services.organization.rate_limits.list(call.principal.organization, change.project);
    throw ApiError::not_found(fmt::format("No rate limit '{}' was found.", id),
                              std::string(field::rate_limit_id));
  }
  change.details = json::write(json::object{{field::id, id}, {field::changes_requested, call.body_object()}});
  const auto values = co_await services.organization.rate_limits.change(actor_of(call), std::move(change));
  co_return contract::Reply::of(render(services, model->id, values));
}

}  // namespace hearth::api
