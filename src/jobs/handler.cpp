#include "jobs/handler.hpp"

#include "base/log.hpp"
#include "jobs/queue.hpp"

namespace hearth::jobs {

Task<void> Execution::save(Saved saved) {
  co_await save_after([&saved](db::Connection&) { return saved; });
}

Task<void> Execution::save_after(Step step) {
  Saved saved = co_await database_.write(scope_of(job_), [&](db::Connection& connection) {
    Queue::hold_in(connection, lease_of(job_));
    Saved made = step(connection);
    Queue::save_in(connection, lease_of(job_), made.cursor, made.progress);
    return made;
  });
  job_.cursor = std::move(saved.cursor);
  job_.progress = std::move(saved.progress);
}

Task<void> Execution::write(Effect effect) {
  co_await database_.write(scope_of(job_), [&](db::Connection& connection) {
    Queue::hold_in(connection, lease_of(job_));
    effect(connection);
  });
}

void Execution::note(std::string_view event, std::string_view detail) const {
  log::info(event, {{"job", job_.id.str()},
                    {"kind", job_.kind},
                    {"request_id", job_.request ? job_.request->str() : ""},
                    {"detail", detail}});
}

}  // namespace hearth::jobs
