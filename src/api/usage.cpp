// GET /organization/usage/*: usage over time, by user, key, model and more.
#include "store/usage.hpp"

#include <algorithm>
#include <array>
#include <span>

#include "api/call.hpp"
#include "api/pages.hpp"
#include "api/services.hpp"
#include "api/usage_buckets.hpp"
#include "contract/fields.hpp"
#include "contract/handlers.hpp"

namespace hearth::api {
namespace {

namespace field = contract::field;
using contract::UsageKind;
using store::UsageCounts;
using store::UsageDimension;

struct Member {
  std::string_view name;
  std::int64_t UsageCounts::* count;
};

// What one operation reports: the members of its results.
struct Report {
  UsageKind kind;
  std::string_view object;
  std::span<const Member> counts;
  std::span<const UsageDimension> dimensions;
};

constexpr Member requests{field::num_model_requests, &UsageCounts::requests};
constexpr Member input{field::input_tokens, &UsageCounts::input_tokens};
constexpr Member completion_counts[] = {input,
                                        {field::input_cached_tokens, &UsageCounts::input_cached_tokens},
                                        {field::output_tokens, &UsageCounts::output_tokens},
                                        {field::input_audio_tokens, &UsageCounts::input_audio_tokens},
                                        {field::output_audio_tokens, &UsageCounts::output_audio_tokens},
                                        requests};
constexpr Member input_counts[] = {input, requests};
constexpr Member image_counts[] = {{field::images, &UsageCounts::images}, requests};
constexpr Member speech_counts[] = {{field::characters, &UsageCounts::characters}, requests};
constexpr Member transcription_counts[] = {{field::seconds, &UsageCounts::seconds}, requests};
constexpr Member session_counts[] = {{field::num_sessions, &UsageCounts::sessions}};

using enum UsageDimension;
constexpr UsageDimension by_request[] = {project_id, user_id, api_key_id, model};
constexpr UsageDimension by_completion[] = {project_id, user_id, api_key_id, model, batch};
constexpr UsageDimension by_image[] = {project_id, user_id, api_key_id, model, source, size};
constexpr UsageDimension by_project[] = {project_id};

constexpr Report completions{UsageKind::completions, "organization.usage.completions.result",
                             completion_counts, by_completion};
constexpr Report embeddings{UsageKind::embeddings, "organization.usage.embeddings.result", input_counts,
                            by_request};
constexpr Report moderations{UsageKind::moderations, "organization.usage.moderations.result", input_counts,
                             by_request};
constexpr Report images{UsageKind::images, "organization.usage.images.result", image_counts, by_image};
constexpr Report speeches{UsageKind::audio_speeches, "organization.usage.audio_speeches.result",
                          speech_counts, by_request};
constexpr Report transcriptions{UsageKind::audio_transcriptions,
                                "organization.usage.audio_transcriptions.result", transcription_counts,
                                by_request};
constexpr Report sessions{UsageKind::code_interpreter_sessions,
                          "organization.usage.code_interpreter_sessions.result", session_counts, by_project};

std::vector<store::UsageFilter> read_filters(const json::object& query) {
  static constexpr std::array<std::pair<std::string_view, UsageDimension>, 6> lists{
      {{field::project_ids, project_id},
       {field::user_ids, user_id},
       {field::api_key_ids, api_key_id},
       {field::models, model},
       {field::sources, source},
       {field::sizes, size}}};
  std::vector<store::UsageFilter> filters;
  for (const auto& [name, dimension] : lists) {
    if (auto texts = read_texts(query, name); !texts.empty())
      filters.push_back({dimension, std::move(texts)});
  }
  if (const auto only = json::find_bool(query, field::batch)) {
    filters.push_back({batch, {*only ? "true" : "false"}});
  }
  return filters;
}

// In the order of the report, each once.
std::vector<UsageDimension> read_groups(const json::object& query, const Report& report) {
  const std::vector<std::string> asked = read_texts(query, field::group_by);
  std::vector<UsageDimension> groups;
  for (UsageDimension dimension : report.dimensions) {
    if (std::ranges::find(asked, store::name_of(dimension)) != asked.end()) groups.push_back(dimension);
  }
  return groups;
}

json::value render_dimension(UsageDimension dimension, const std::optional<std::string>& value) {
  if (!value || value->empty()) return nullptr;
  if (dimension == batch) return *value == "true";
  return json::value(*value);
}

// The result of a group, with nothing counted yet: its counts come second, in the order of the report.
json::object render_group(const Report& report, const store::UsageGroup& group) {
  json::object out;
  out.reserve(1 + report.counts.size() + report.dimensions.size());
  out.emplace(field::object, report.object);
  for (const Member& member : report.counts)
    out.emplace(member.name, 0);
  for (UsageDimension dimension : report.dimensions) {
    out.emplace(store::name_of(dimension),
                render_dimension(dimension, group[static_cast<std::size_t>(dimension)]));
  }
  return out;
}

// A reply may hold many thousands of results: each is a copy of its group's, which is quicker than to name
// every member again.
void append_row(const Report& report, const json::object& group, const store::UsageCounts& counts,
                json::array& bucket) {
  json::object& out = bucket.emplace_back(json::object(group, bucket.storage())).get_object();
  auto place = out.begin() + 1;
  for (const Member& member : report.counts)
    (place++)->value() = counts.*member.count;
}

Task<contract::Reply> answer(Services& services, const contract::Call& call, const Report& report) {
  BucketPage page = read_buckets(call.query, services.clock.unix_now());
  const auto sums = co_await services.metering.usage.query({.organization = call.principal.organization,
                                                            .kind = report.kind,
                                                            .width = page.width,
                                                            .start = page.start,
                                                            .end = page.end,
                                                            .filters = read_filters(call.query),
                                                            .group_by = read_groups(call.query, report)});
  std::vector<json::object> groups;
  groups.reserve(sums.groups.size());
  for (const store::UsageGroup& group : sums.groups)
    groups.push_back(render_group(report, group));
  end_page(page, sums.end);
  auto results = empty_results(page);
  for (const store::UsageRow& row : sums.rows)
    append_row(report, groups[row.group], row.counts, results[page.index_of(row.bucket)]);
  co_return contract::Reply::of(render_buckets(page, std::move(results)));
}

}  // namespace

Task<contract::Reply> usage_completions(Services& services, Call& call) {
  return answer(services, call, completions);
}

Task<contract::Reply> usage_embeddings(Services& services, Call& call) {
  return answer(services, call, embeddings);
}

Task<contract::Reply> usage_moderations(Services& services, Call& call) {
  return answer(services, call, moderations);
}

Task<contract::Reply> usage_images(Services& services, Call& call) {
  return answer(services, call, images);
}

Task<contract::Reply> usage_audio_speeches(Services& services, Call& call) {
  return answer(services, call, speeches);
}

Task<contract::Reply> usage_audio_transcriptions(Services& services, Call& call) {
  return answer(services, call, transcriptions);
}

Task<contract::Reply> usage_code_interpreter_sessions(Services& services, Call& call) {
  return answer(services, call, sessions);
}

Task<contract::Reply> usage_vector_stores(Services& services, Call& call) {
  const UnixSeconds now = services.clock.unix_now();
  BucketPage page = read_buckets(call.query, now);
  using Group = store::LevelQuery::Group;
  const auto levels = co_await services.metering.usage.query_vector_store_bytes(
      {.organization = call.principal.organization,
       .width = page.width,
       .start = page.start,
       .end = page.end,
       .projects = read_texts(call.query, field::project_ids),
       .group = read_texts(call.query, field::group_by).empty() ? Group::none : Group::project},
      now);
  end_page(page, levels.end);
  auto results = empty_results(page);
  for (const store::LevelRow& row : levels.rows) {
    json::value project = row.project.empty() ? json::value(nullptr) : json::value(row.project.str());
    results[page.index_of(row.bucket)].push_back(
        json::object{{field::object, "organization.usage.vector_stores.result"},
                     {field::usage_bytes, row.bytes},
                     {field::project_id, std::move(project)}});
  }
  co_return contract::Reply::of(render_buckets(page, std::move(results)));
}

}  // namespace hearth::api
