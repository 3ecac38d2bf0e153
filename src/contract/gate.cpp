#include "contract/gate.hpp"

#ifdef HEARTH_GATE

#include <cstdlib>
#include <fcntl.h>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <unistd.h>

#include <fmt/format.h>

#include "base/log.hpp"
#include "contract/validator.hpp"

namespace hearth::contract::gate {
namespace {

// The file of HEARTH_GATE_LOG. Each line is one write to an appending descriptor, so that several processes
// may share the file; a line that was written before is not written again.
class Log {
 public:
  Log() {
    const char* path = std::getenv("HEARTH_GATE_LOG");
    if (path == nullptr || *path == '\0') return;
    descriptor_ = ::open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (descriptor_ < 0) log::error("gate_log_unwritable", {{"path", path}});
  }
  ~Log() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  void write(const json::object& entry) {
    if (descriptor_ < 0) return;
    std::string line = json::write(entry) + "\n";
    const std::lock_guard lock(mutex_);
    if (!written_.insert(line).second) return;
    if (::write(descriptor_, line.data(), line.size()) != static_cast<ssize_t>(line.size())) {
      log::error("gate_log_unwritable", {{"line", line}});
    }
  }

 private:
  int descriptor_ = -1;
  std::mutex mutex_;
  std::set<std::string> written_;
};

Log& the_log() {
  static Log log;
  return log;
}

std::string_view name_of(const Operation* operation) {
  return operation != nullptr ? operation->name : std::string_view();
}

void report(const Operation* operation, const std::string& what, std::string_view message) {
  log::error("contract_violation", {{"operation", name_of(operation)}, {"what", what}, {"message", message}});
  the_log().write(
      {{"kind", "violation"}, {"operation", name_of(operation)}, {"what", what}, {"message", message}});
}

[[noreturn]] void refuse(const Operation& operation, const std::string& what, std::string_view message) {
  report(&operation, what, message);
  throw ApiError(500, "server_error", "contract_violation",
                 fmt::format("{} of {} breaks the contract: {}", what, operation.name, message));
}

// The schema of errors as the contract has it; an error of a contract without one is not checked.
std::optional<Violation> judge_error(const Validator& validator, const json::value& body) {
  const SchemaId schema = validator.tables().error_schema;
  if (schema == no_schema) return std::nullopt;
  return validator.validate(schema, body, Strictness::reply);
}

void note_error(const Operation* operation, int status, const json::value& body) {
  const json::object* whole = body.if_object();
  const json::object* error = whole != nullptr ? json::find_object(*whole, "error") : nullptr;
  const auto code = error != nullptr ? json::find_string(*error, "code") : std::nullopt;
  the_log().write({{"kind", "error"},
                   {"operation", name_of(operation)},
                   {"status", status},
                   {"code", code ? json::value(*code) : json::value(nullptr)}});
}

void note_reply(const Operation& operation, int status) {
  the_log().write({{"kind", "reply"}, {"operation", operation.name}, {"status", status}});
}

}  // namespace

void check_reply(const Validator& validator, const Operation& operation, int status,
                 const json::value& body) {
  const std::string what = fmt::format("reply {}", status);
  std::optional<Violation> violation = Violation{{}, code::unknown, "the contract declares no such reply"};
  for (const ReplyForm& form : operation.replies) {
    if (form.status != status) continue;
    if (form.kind == ReplyKind::empty && body.is_null()) violation.reset();
    if (form.kind == ReplyKind::json) violation = validator.validate(form.schema, body, Strictness::reply);
    if (!violation) return note_reply(operation, status);
  }
  refuse(operation, what, violation->message);
}

void check_bytes_reply(const Operation& operation, int status, std::string_view content_type) {
  if (answers_bytes(operation, status, content_type)) return note_reply(operation, status);
  refuse(operation, fmt::format("reply {}", status),
         fmt::format("the contract declares no bytes or text of type '{}' here", content_type));
}

void check_event(const Validator& validator, const Operation& operation, std::string_view event,
                 const json::value& data) {
  const std::string what = fmt::format("event '{}'", event);
  const json::object* object = data.if_object();
  if (object != nullptr && object->size() == 1 && object->contains("error")) {
    check_error(validator, &operation, 200, data);
    return;
  }
  const EventForm* form = find_event_form(operation.events, event);
  if (form == nullptr) refuse(operation, what, "the contract does not declare it");
  if (auto violation = validator.validate(form->schema, data, Strictness::reply))
    refuse(operation, what, violation->message);
  the_log().write({{"kind", "event"}, {"operation", operation.name}, {"event", event}});
}

void check_socket_event(const Validator& validator, const Operation& operation, const json::value& event) {
  const json::object* object = event.if_object();
  const auto type = object != nullptr ? json::find_string(*object, "type") : std::nullopt;
  const std::string what = fmt::format("socket event '{}'", type.value_or(""));
  const EventForm* form = type ? find_event_form(operation.socket->server, *type) : nullptr;
  if (form == nullptr) refuse(operation, what, "the contract does not declare it");
  if (auto violation = validator.validate(form->schema, event, Strictness::reply))
    refuse(operation, what, violation->message);
  the_log().write({{"kind", "event"}, {"operation", operation.name}, {"event", form->name}});
  if (object->contains("error")) note_error(&operation, 200, event);
}

void check_error(const Validator& validator, const Operation* operation, int status,
                 const json::value& body) {
  if (auto violation = judge_error(validator, body))
    report(operation, fmt::format("error {}", status), violation->message);
  note_error(operation, status, body);
}

void check_error_event(const Validator& validator, const Operation& operation, std::string_view event,
                       const json::value& data) {
  const EventForm& form = operation.error_event;
  if (event != form.name) report(&operation, fmt::format("event '{}'", event), "it is not the error event");
  if (form.schema == validator.tables().error_schema) return;  // check_error has seen it
  if (auto violation = validator.validate(form.schema, data, Strictness::reply))
    report(&operation, fmt::format("event '{}'", event), violation->message);
  the_log().write({{"kind", "event"}, {"operation", operation.name}, {"event", event}});
}

}  // namespace hearth::contract::gate

#endif
