#include "jobs/event_log.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "async/deadline.hpp"
#include "async/interruptible.hpp"
#include "base/api_error.hpp"
#include "base/log.hpp"

namespace hearth::jobs {
namespace {

constexpr std::size_t rows_of_statement = 64;
constexpr std::size_t events_of_read = 500;
constexpr std::chrono::milliseconds look_interval{50};
constexpr int looks_until_read = 20;  // even if the change token stands still

// Several rows in a statement. There are few different numbers of rows, so that statements stay prepared.
void insert_rows(db::Connection& connection, const StreamId& stream, std::span<const StreamEvent> events) {
  while (!events.empty()) {
    std::size_t count = rows_of_statement;
    while (count > events.size())
      count /= 2;
    std::string sql = "INSERT INTO stream_events (stream_id, sequence, type, data) VALUES ";
    std::vector<db::Param> params{stream};
    for (const StreamEvent& event : events.first(count)) {
      const std::size_t at = params.size();
      sql += fmt::format("{}($1, ${}, ${}, ${})", at == 1 ? "" : ", ", at + 1, at + 2, at + 3);
      params.emplace_back(event.sequence);
      params.emplace_back(event.type);
      params.emplace_back(event.data);
    }
    connection.execute(sql, params);
    events = events.subspan(count);
  }
}

}  // namespace

void event_log::create_in(db::Connection& connection, const NewStream& stream, UnixMillis now) {
  connection.execute(
      "INSERT INTO event_streams (id, organization_id, project_id, last_sequence, ended, created_at) "
      "VALUES ($1, $2, $3, 0, 0, $4)",
      {stream.id, stream.organization, stream.project, now});
}

std::optional<StreamState> event_log::find_in(db::Connection& connection, const StreamId& stream) {
  const db::Rows rows =
      connection.query("SELECT last_sequence, ended FROM event_streams WHERE id = $1", {stream});
  if (rows.empty()) return std::nullopt;
  return StreamState{rows[0].get<std::int64_t>(0), rows[0].get<bool>(1)};
}

void event_log::append_in(db::Connection& connection, const StreamId& stream,
                          std::span<const StreamEvent> events) {
  if (events.empty()) return;
  const auto state = find_in(connection, stream);
  const std::int64_t next = state ? state->last_sequence + 1 : 0;
  if (!state || state->ended || events.front().sequence > next)
    throw db::Error(db::ErrorKind::statement,
                    fmt::format("the events do not follow on the stream {}", stream.str()));
  if (events.back().sequence < next) return;
  events = events.subspan(static_cast<std::size_t>(next - events.front().sequence));
  insert_rows(connection, stream, events);
  connection.execute("UPDATE event_streams SET last_sequence = $2 WHERE id = $1",
                     {stream, events.back().sequence});
}

void event_log::end_in(db::Connection& connection, const StreamId& stream,
                       std::optional<UnixMillis> expires_at) {
  connection.execute("UPDATE event_streams SET ended = 1, expires_at = $2 WHERE id = $1",
                     {stream, expires_at});
}

std::vector<StreamEvent> event_log::read_in(db::Connection& connection, const StreamId& stream,
                                            std::int64_t after, std::size_t limit) {
  std::vector<StreamEvent> events;
  for (const db::Row row : connection.query(
           "SELECT sequence, type, data FROM stream_events WHERE stream_id = $1 AND sequence > $2 "
           "ORDER BY sequence LIMIT $3",
           {stream, after, limit})) {
    events.push_back({row.get<std::int64_t>(0), row.get<std::string>(1), row.get<std::string>(2)});
  }
  return events;
}

void event_log::remove_in(db::Connection& connection, const StreamId& stream) {
  connection.execute("DELETE FROM event_streams WHERE id = $1", {stream});
}

std::int64_t event_log::remove_expired_in(db::Connection& connection, UnixMillis now, std::size_t limit) {
  return connection.execute(
      "DELETE FROM event_streams WHERE id IN (SELECT id FROM event_streams WHERE expires_at <= $1 "
      "ORDER BY expires_at LIMIT $2)",
      {now, limit});
}

Task<std::int64_t> EventWriter::add(std::string type, std::string data) {
  const std::int64_t sequence = ++last_;
  pending_bytes_ += type.size() + data.size();
  pending_.push_back({sequence, std::move(type), std::move(data)});
  if (pending_bytes_ > most_pending) co_await flush();
  co_return sequence;
}

// A group whose answer was lost is written again: what is there of it already is left out.
Task<void> EventWriter::flush() {
  if (pending_.empty()) co_return;
  const std::int64_t last = pending_.back().sequence;
  co_await execution_.write(with_events({}));
  while (!pending_.empty() && pending_.front().sequence <= last) {
    pending_bytes_ -= pending_.front().type.size() + pending_.front().data.size();
    pending_.pop_front();
  }
}

Effect EventWriter::with_events(Effect status) const {
  return [stream = stream_, events = std::vector<StreamEvent>(pending_.begin(), pending_.end()),
          status = std::move(status)](db::Connection& connection) {
    event_log::append_in(connection, stream, events);
    if (status) status(connection);
  };
}

Task<void> EventWriter::write_during(Task<void> producer) {
  failure_ = nullptr;
  const auto produced = co_await async::run_unless(std::move(producer), write_groups());
  if (!produced) std::rethrow_exception(failure_);
}

Task<void> EventWriter::write_groups() {
  bool failing = false;  // one line for a row of failures
  for (;;) {
    co_await async::sleep_for(interval);
    try {
      co_await flush();
      failing = false;
    } catch (const ApiError& error) {  // the database is away: the events wait
      if (!failing) log::warn("jobs.events_wait", {{"stream", stream_.str()}, {"reason", error.message()}});
      failing = true;
    } catch (...) {
      failure_ = std::current_exception();
      co_return;
    }
  }
}

Task<std::vector<StreamEvent>> EventReader::next() {
  struct Found {
    std::vector<StreamEvent> events;
    bool is_over = false;
  };
  for (;;) {
    const std::uint64_t token = database_.change_token();  // before the read
    Found found = co_await database_.read([this](db::Connection& connection) {
      const auto state = event_log::find_in(connection, stream_);
      Found read{event_log::read_in(connection, stream_, last_, events_of_read)};
      read.is_over = !state || state->ended;
      return read;
    });
    if (!found.events.empty()) last_ = found.events.back().sequence;
    if (!found.events.empty() || found.is_over) co_return std::move(found.events);
    for (int look = 0; look < looks_until_read && database_.change_token() == token; ++look)
      co_await async::sleep_for(look_interval);
  }
}

}  // namespace hearth::jobs
