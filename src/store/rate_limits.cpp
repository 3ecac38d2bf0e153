#include "store/rate_limits.hpp"

#include <fmt/format.h>

#include "store/projects.hpp"

namespace hearth::store {
namespace {

constexpr std::size_t max_cached_projects = 10'000;

// The columns that parse_values reads.
constexpr std::string_view value_columns =
    "requests_per_minute, tokens_per_minute, images_per_minute, audio_megabytes_per_minute, "
    "requests_per_day, batch_input_tokens_per_day";

RateLimitValues parse_values(const db::Row& row, std::size_t first) {
  const auto read = [&](std::size_t column) { return row.get<std::optional<std::int64_t>>(first + column); };
  return {.requests_per_minute = read(0),
          .tokens_per_minute = read(1),
          .images_per_minute = read(2),
          .audio_megabytes_per_minute = read(3),
          .requests_per_day = read(4),
          .batch_input_tokens_per_day = read(5)};
}

ProjectRateLimits read_all(db::Connection& connection, const ProjectId& project) {
  ProjectRateLimits limits;
  const db::Rows rows = connection.query(
      fmt::format("SELECT model, {} FROM project_rate_limits WHERE project_id = $1", value_columns),
      {project});
  for (const db::Row row : rows)
    limits.emplace(row.get<std::string>(0), parse_values(row, 1));
  return limits;
}

// What is set in `values`, and of the rest what was.
RateLimitValues lay_over(const RateLimitValues& known, const RateLimitValues& values) {
  const auto newest = [](const auto& given, const auto& before) { return given ? given : before; };
  return {.requests_per_minute = newest(values.requests_per_minute, known.requests_per_minute),
          .tokens_per_minute = newest(values.tokens_per_minute, known.tokens_per_minute),
          .images_per_minute = newest(values.images_per_minute, known.images_per_minute),
          .audio_megabytes_per_minute =
              newest(values.audio_megabytes_per_minute, known.audio_megabytes_per_minute),
          .requests_per_day = newest(values.requests_per_day, known.requests_per_day),
          .batch_input_tokens_per_day =
              newest(values.batch_input_tokens_per_day, known.batch_input_tokens_per_day)};
}

}  // namespace

Task<std::optional<RateLimitValues>> RateLimits::find(const ProjectId& project, std::string_view model,
                                                      std::uint64_t epoch) {
  Shared limits = find_cached(project, epoch);
  if (!limits) limits = co_await read(project, epoch);
  const auto found = limits->find(model);
  if (found == limits->end()) co_return std::nullopt;
  co_return found->second;
}

Task<ProjectRateLimits> RateLimits::list(OrganizationId organization, ProjectId project) {
  co_return co_await database_.read([&](db::Connection& connection) {
    Projects::get_in(connection, organization, project);
    return read_all(connection, project);
  });
}

Task<RateLimitValues> RateLimits::change(Actor actor, RateLimitChange change) {
  co_return co_await database_.write(actor.organization, [&](db::Connection& connection) {
    const Project project = Projects::get_active_in(connection, {actor.organization, change.project});
    const RateLimitValues& values = change.values;
    const RateLimitValues known = read_all(connection, change.project)[change.model];
    const RateLimitValues now = lay_over(known, values);
    if (now == known) return known;
    connection.execute(
        fmt::format("INSERT INTO project_rate_limits (organization_id, project_id, model, {}, updated_at) "
                    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) "
                    "ON CONFLICT (project_id, model) DO UPDATE SET "
                    "requests_per_minute = excluded.requests_per_minute, "
                    "tokens_per_minute = excluded.tokens_per_minute, "
                    "images_per_minute = excluded.images_per_minute, "
                    "audio_megabytes_per_minute = excluded.audio_megabytes_per_minute, "
                    "requests_per_day = excluded.requests_per_day, "
                    "batch_input_tokens_per_day = excluded.batch_input_tokens_per_day, "
                    "updated_at = excluded.updated_at",
                    value_columns),
        {actor.organization, change.project, change.model, now.requests_per_minute, now.tokens_per_minute,
         now.images_per_minute, now.audio_megabytes_per_minute, now.requests_per_day,
         now.batch_input_tokens_per_day, clock_.unix_now()});
    AuditLogs::append_in(connection, clock_, ids_, actor,
                         {.type = "rate_limit.updated",
                          .project = change.project,
                          .project_name = project.name,
                          .resources = {change.id},
                          .details = change.details});
    return now;
  });
}

RateLimits::Shared RateLimits::find_cached(const ProjectId& project, std::uint64_t epoch) {
  std::lock_guard lock(mutex_);
  const auto found = cache_.find(project);
  return found != cache_.end() && found->second.epoch == epoch ? found->second.limits : nullptr;
}

Task<RateLimits::Shared> RateLimits::read(const ProjectId& project, std::uint64_t epoch) {
  auto limits = std::make_shared<const ProjectRateLimits>(co_await database_.read(
      [&project](db::Connection& connection) { return read_all(connection, project); }));
  std::lock_guard lock(mutex_);
  if (cache_.size() >= max_cached_projects) cache_.clear();
  cache_.insert_or_assign(project, Entry{limits, epoch});
  co_return limits;
}

}  // namespace hearth::store
