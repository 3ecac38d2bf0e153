// One connection of libpq: connecting, sending, waiting with a deadline, and errors as db::Error.
//
// Thread: one at a time. Errors hold the SQL and PostgreSQL's sentence, never values and never the password.
#pragma once

#include <chrono>
#include <libpq-fe.h>
#include <memory>
#include <string>
#include <string_view>

#include "db/error.hpp"
#include "db/postgres.hpp"

namespace hearth::db {

struct ClearResult {
  void operator()(PGresult* result) const { PQclear(result); }
};
using Result = std::unique_ptr<PGresult, ClearResult>;

bool is_failure(const PGresult* result);
ErrorKind kind_of_state(std::string_view sqlstate);

class PostgresConnection {
 public:
  // Connected and in pipeline mode. `set_up`: statements of SET. Throws Error(unavailable).
  PostgresConnection(const PostgresOptions& options, const std::string& set_up);
  PostgresConnection(PostgresConnection&&) = default;
  PostgresConnection& operator=(PostgresConnection&&) = default;

  PGconn* handle() const { return handle_.get(); }
  int socket() const { return PQsocket(handle_.get()); }
  bool is_lost() const { return handle_ == nullptr || PQstatus(handle_.get()) != CONNECTION_OK; }
  void drop() { handle_.reset(); }

  // Takes in what the server said unasked; finds out when it has closed the connection.
  void take_in();
  // The PQsend… functions: throws what `accepted` being 0 means.
  void check_sent(int accepted);
  // Until everything is on its way. Throws Error(unavailable) at the deadline and when the connection is
  // lost.
  void flush(std::chrono::steady_clock::time_point deadline);
  // The next result; null between those of two statements. Throws like flush().
  Result next(std::chrono::steady_clock::time_point deadline);

  // Several statements in one text. The pipeline must be empty. Throws what the first failure is.
  void run_script(const std::string& sql, std::chrono::steady_clock::time_point deadline);

  Error make_error(const PGresult* result, std::string_view doing) const;

 private:
  struct Finish {
    void operator()(PGconn* handle) const { PQfinish(handle); }
  };

  void wait(short events, std::chrono::steady_clock::time_point deadline);
  [[noreturn]] void fail_lost(std::string_view reason);

  std::unique_ptr<PGconn, Finish> handle_;
};

}  // namespace hearth::db
