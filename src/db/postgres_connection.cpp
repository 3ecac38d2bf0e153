#include "db/postgres_connection.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <poll.h>

#include <fmt/format.h>

#include "base/log.hpp"

namespace hearth::db {
namespace {

using SteadyClock = std::chrono::steady_clock;

struct FreeParsed {
  void operator()(PQconninfoOption* options) const { PQconninfoFree(options); }
};
using Parsed = std::unique_ptr<PQconninfoOption, FreeParsed>;

Parsed parse_url(const std::string& url) {
  char* message = nullptr;  // may quote parts of the URL: not for anybody's eyes
  Parsed parsed(PQconninfoParse(url.c_str(), &message));
  PQfreemem(message);
  return parsed;
}

std::string_view find_part(const Parsed& parsed, std::string_view keyword) {
  for (const PQconninfoOption* option = parsed.get(); option != nullptr && option->keyword != nullptr;
       ++option) {
    if (option->keyword == keyword && option->val != nullptr) return option->val;
  }
  return {};
}

std::string without_password(std::string message, std::string_view password) {
  while (message.ends_with('\n'))
    message.pop_back();
  std::ranges::replace(message, '\n', ' ');
  if (password.empty()) return message;
  for (std::size_t at = 0; (at = message.find(password, at)) != std::string::npos; at += 3)
    message.replace(at, password.size(), "***");
  return message;
}

void log_notice(void*, const char* message) {
  std::string_view text(message);
  while (text.ends_with('\n'))
    text.remove_suffix(1);
  log::debug("db.notice", {{"notice", text}});
}

}  // namespace

bool is_postgres_url(std::string_view text) {
  return text.starts_with("postgresql://") || text.starts_with("postgres://");
}

// libpq takes what follows a mark that should have been percent-encoded for a port, a host or a database, and
// repeats it in its messages: a password could be among it.
std::optional<std::string> find_url_fault(const std::string& url) {
  constexpr std::string_view form =
      "expected postgresql://USER:PASSWORD@HOST:PORT/DATABASE, with special characters "
      "of user and password percent-encoded";
  if (!is_postgres_url(url)) return std::string(form);
  const Parsed parsed = parse_url(url);
  if (!parsed || find_part(parsed, "port").find_first_not_of("0123456789,") != std::string_view::npos ||
      find_part(parsed, "host").contains('@') || find_part(parsed, "dbname").contains('@')) {
    return std::string(form);
  }
  return std::nullopt;
}

bool is_failure(const PGresult* result) {
  const ExecStatusType status = PQresultStatus(result);
  return status == PGRES_FATAL_ERROR || status == PGRES_BAD_RESPONSE || status == PGRES_PIPELINE_ABORTED;
}

ErrorKind kind_of_state(std::string_view state) {
  constexpr std::array<std::string_view, 3> busy{"40001", "40P01", "55P03"};
  if (std::ranges::find(busy, state) != busy.end()) return ErrorKind::busy;
  if (state.starts_with("23")) return ErrorKind::constraint;
  if (state == "08P01") return ErrorKind::statement;  // e.g. the wrong number of arguments
  // Faults of the connection, resources, the operator or the system; idle for too long; internal errors.
  for (const std::string_view part : {"08", "28", "3D", "53", "57", "58", "25P03", "XX"}) {
    if (state.starts_with(part)) return ErrorKind::unavailable;
  }
  return state.empty() ? ErrorKind::unavailable : ErrorKind::statement;
}

PostgresConnection::PostgresConnection(const PostgresOptions& options, const std::string& set_up) {
  const Parsed parsed = parse_url(options.url);
  if (const auto fault = find_url_fault(options.url)) {
    throw Error(ErrorKind::unavailable, fmt::format("cannot open the database: {}", *fault));
  }
  const auto seconds = std::chrono::ceil<std::chrono::seconds>(options.connect_timeout).count();
  const std::string timeout = fmt::format("{}", std::max<long>(seconds, 2));
  // What stands before the URL is a default, what stands after it holds. A peer that vanished is noticed
  // within some fifteen seconds.
  const std::array<std::pair<const char*, const char*>, 10> parts{{{"connect_timeout", timeout.c_str()},
                                                                   {"gssencmode", "disable"},
                                                                   {"keepalives_idle", "5"},
                                                                   {"keepalives_interval", "3"},
                                                                   {"keepalives_count", "3"},
                                                                   {"tcp_user_timeout", "15000"},
                                                                   {"fallback_application_name", "hearth"},
                                                                   {"dbname", options.url.c_str()},
                                                                   {"client_encoding", "UTF8"},
                                                                   {nullptr, nullptr}}};
  std::array<const char*, parts.size()> keywords{};
  std::array<const char*, parts.size()> values{};
  for (std::size_t i = 0; i < parts.size(); ++i) {
    keywords[i] = parts[i].first;
    values[i] = parts[i].second;
  }
  handle_.reset(PQconnectdbParams(keywords.data(), values.data(), 1));
  if (is_lost()) {
    const std::string reason = handle_ == nullptr ? "no memory" : PQerrorMessage(handle_.get());
    throw Error(ErrorKind::unavailable, fmt::format("cannot open the database: {}",
                                                    without_password(reason, find_part(parsed, "password"))));
  }
  PQsetNoticeProcessor(handle_.get(), log_notice, nullptr);
  if (const char* encoding = PQparameterStatus(handle_.get(), "server_encoding");
      encoding == nullptr || std::string_view(encoding) != "UTF8") {
    throw Error(ErrorKind::unavailable,
                fmt::format("the database has the encoding {}; one with the encoding UTF8 is needed",
                            encoding == nullptr ? "?" : encoding));
  }
  PQsetnonblocking(handle_.get(), 1);
  PQenterPipelineMode(handle_.get());
  run_script(set_up, SteadyClock::now() + options.answer_timeout);
}

void PostgresConnection::take_in() {
  for (;;) {
    if (is_lost()) return;
    pollfd socket_state{socket(), POLLIN, 0};
    if (::poll(&socket_state, 1, 0) <= 0) return;
    if (PQconsumeInput(handle_.get()) == 0) return drop();
    PQisBusy(handle_.get());  // reads messages
  }
}

void PostgresConnection::check_sent(int accepted) {
  if (accepted == 1) return;
  if (is_lost()) fail_lost(handle_ ? PQerrorMessage(handle_.get()) : "closed");
  throw Error(ErrorKind::statement, fmt::format("PostgreSQL: {}", PQerrorMessage(handle_.get())));
}

void PostgresConnection::wait(short events, SteadyClock::time_point deadline) {
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - SteadyClock::now()).count();
    if (left <= 0) fail_lost("no answer in time");
    pollfd socket_state{socket(), events, 0};
    const int ready = ::poll(&socket_state, 1, static_cast<int>(std::min<long>(left, 60'000)));
    if (ready > 0) return;
    if (ready < 0 && errno != EINTR) fail_lost(std::strerror(errno));
  }
}

void PostgresConnection::flush(SteadyClock::time_point deadline) {
  for (;;) {
    if (is_lost()) fail_lost("closed");
    const int left = PQflush(handle_.get());
    if (left == 0) return;
    if (left < 0) fail_lost(PQerrorMessage(handle_.get()));
    wait(POLLIN | POLLOUT, deadline);
    if (PQconsumeInput(handle_.get()) == 0) fail_lost(PQerrorMessage(handle_.get()));
  }
}

Result PostgresConnection::next(SteadyClock::time_point deadline) {
  if (is_lost()) fail_lost("closed");
  while (PQisBusy(handle_.get()) != 0) {
    wait(POLLIN, deadline);
    // A last message may stand before the end of the connection: PQgetResult has it.
    if (PQconsumeInput(handle_.get()) == 0) break;
  }
  Result result(PQgetResult(handle_.get()));
  if (is_lost()) fail_lost(result ? PQresultErrorMessage(result.get()) : PQerrorMessage(handle_.get()));
  return result;
}

void PostgresConnection::run_script(const std::string& sql, SteadyClock::time_point deadline) {
  PQexitPipelineMode(handle_.get());
  check_sent(PQsendQuery(handle_.get(), sql.c_str()));
  flush(deadline);
  std::optional<Error> failure;
  while (const Result result = next(deadline)) {
    if (is_failure(result.get()) && !failure) failure = make_error(result.get(), sql);
  }
  PQenterPipelineMode(handle_.get());
  if (failure) throw Error(*failure);
}

Error PostgresConnection::make_error(const PGresult* result, std::string_view doing) const {
  const char* state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  const char* sentence = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
  return {kind_of_state(state == nullptr ? "" : state),
          fmt::format("PostgreSQL: {} ({}) in: {}", sentence == nullptr ? "no reason given" : sentence,
                      state == nullptr ? "?" : state, doing)};
}

void PostgresConnection::fail_lost(std::string_view reason) {
  std::string message(reason);
  drop();
  throw Error(ErrorKind::unavailable, fmt::format("the connection to PostgreSQL is lost: {}",
                                                  without_password(std::move(message), {})));
}

}  // namespace hearth::db
