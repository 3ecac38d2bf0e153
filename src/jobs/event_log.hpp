// The events of a stream, kept in the store: whoever resumes a stream, or follows it on another replica,
// reads here.
//
//   handler ── add() ──▶ pending ── a group each 200 ms ──▶ stream_events ──▶ EventReader, anywhere
//                           └────── with the status, in its transaction ──┘
//
// Events are numbered from 1 without gaps. They are written under the lease of the job that makes them, in
// groups; the last group goes with the change of status, so that a status never runs ahead of its events.
// When a process dies, the tail that was not written yet is lost, and nothing else.
//
// A stream belongs to an aggregate that was found under its tenant: whoever knows the id may read it.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "async/task.hpp"
#include "base/id.hpp"
#include "db/database.hpp"
#include "jobs/handler.hpp"
#include "jobs/job.hpp"

namespace hearth::jobs {

using StreamId = Id<struct StreamTag>;

struct StreamEvent {
  std::int64_t sequence = 0;
  std::string type;
  std::string data;  // JSON
  bool operator==(const StreamEvent&) const = default;
};

struct StreamState {
  std::int64_t last_sequence = 0;
  bool ended = false;
};

struct NewStream {
  StreamId id;
  std::optional<OrganizationId> organization;
  std::optional<ProjectId> project;
};

// Statements, in a transaction of the caller's. Thread: the database's.
namespace event_log {

void create_in(db::Connection& connection, const NewStream& stream, UnixMillis now);
// nullopt: there is no such stream (any more).
std::optional<StreamState> find_in(db::Connection& connection, const StreamId& stream);
// Those of `events` that are not there yet; they follow each other, and on what is there. Under the lease of
// the job alone: see EventWriter. Throws db::Error(statement) where there would be a gap.
void append_in(db::Connection& connection, const StreamId& stream, std::span<const StreamEvent> events);
// Nothing follows. From `expires_at` on the stream may be swept.
void end_in(db::Connection& connection, const StreamId& stream, std::optional<UnixMillis> expires_at);
std::vector<StreamEvent> read_in(db::Connection& connection, const StreamId& stream, std::int64_t after,
                                 std::size_t limit);
void remove_in(db::Connection& connection, const StreamId& stream);
// Up to `limit` streams whose time is over, with their events; how many they were.
std::int64_t remove_expired_in(db::Connection& connection, UnixMillis now, std::size_t limit);

}  // namespace event_log

// Writes the events of one stream for the job that makes them. Lives in the handler's run. Thread: its
// executor.
class EventWriter {
 public:
  static constexpr std::chrono::milliseconds interval{200};
  static constexpr std::size_t most_pending = 1U << 20;  // bytes; then whoever adds waits for the database

  // `from`: what find_in says of the stream, read under the job's lease.
  EventWriter(Execution& execution, StreamId stream, const StreamState& from)
      : execution_(execution), stream_(std::move(stream)), last_(from.last_sequence) {}

  // Returns the event's number. Throws as flush(), where it has to wait.
  Task<std::int64_t> add(std::string type, std::string data);
  // Writes what is pending. Throws as Execution::write.
  Task<void> flush();
  // Runs `producer`, which adds, and writes a group every 200 ms beside it. What is then still pending goes
  // with the status. Throws what the producer throws, and LeaseLost and CancelRequested when a group says so:
  // then the producer has been cancelled.
  Task<void> write_during(Task<void> producer);

  // `status`, and all that was added until now before it: for the transaction that ends the job, or for
  // Execution::write.
  Effect with_events(Effect status) const;

 private:
  Task<void> write_groups();

  Execution& execution_;
  StreamId stream_;
  std::int64_t last_;                // number of the last that was added
  std::deque<StreamEvent> pending_;  // not known to be written
  std::size_t pending_bytes_ = 0;
  std::exception_ptr failure_;  // why the groups ended
};

// Follows a stream from any process. Thread: one coroutine.
class EventReader {
 public:
  EventReader(db::Database& database, StreamId stream, std::int64_t after)
      : database_(database), stream_(std::move(stream)), last_(after) {}

  // The next events in order, waited for. Empty: the stream has ended, or was removed, and all were returned.
  // Throws ApiError 503; the next call goes on where this one was.
  Task<std::vector<StreamEvent>> next();

 private:
  db::Database& database_;
  StreamId stream_;
  std::int64_t last_;
};

}  // namespace hearth::jobs
