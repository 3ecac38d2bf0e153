// PostgreSQL as its documentation shows it: libpq, prepared statements, one connection, an answer at a time.
#pragma once

#include <initializer_list>
#include <libpq-fe.h>
#include <stdexcept>
#include <string>
#include <vector>

#include "store/chat_completions.hpp"

namespace hearth {

class RawPostgres {
 public:
  explicit RawPostgres(const std::string& url) : handle_(PQconnectdb(url.c_str())) {
    if (PQstatus(handle_) != CONNECTION_OK) throw std::runtime_error("cannot connect to PostgreSQL");
    prepare("sequence",
            "INSERT INTO sequences (organization_id, project_id, name, value) VALUES ($1, $2, "
            "'chat_completions', 1) "
            "ON CONFLICT (organization_id, project_id, name) DO UPDATE SET value = sequences.value + 1 "
            "RETURNING value");
    prepare("completion",
            "INSERT INTO chat_completions (id, organization_id, project_id, created_at, sequence, model, "
            "request, "
            "response, metadata) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)");
    prepare("message",
            "INSERT INTO chat_completion_messages (completion_id, organization_id, project_id, position, "
            "message) "
            "VALUES ($1, $2, $3, $4, $5)");
    prepare("metadata",
            "INSERT INTO chat_completion_metadata (completion_id, organization_id, project_id, name, value) "
            "VALUES ($1, $2, $3, $4, $5)");
  }
  ~RawPostgres() { PQfinish(handle_); }
  RawPostgres(const RawPostgres&) = delete;

  void run(const char* sql) { check(PQexec(handle_, sql)); }

  void create(const store::Tenant& tenant, const store::NewChatCompletion& completion) {
    const auto& record = completion.record;
    const std::string& organization = tenant.organization.str();
    const std::string& project = tenant.project.str();
    const std::string sequence = execute("sequence", {organization, project});
    execute("completion",
            {record.id.str(), organization, project, std::to_string(record.created_at), sequence,
             record.model, record.request, record.response, R"({"user":"someone","session":"0123456789"})"});
    for (std::size_t i = 0; i < completion.messages.size(); ++i)
      execute("message", {record.id.str(), organization, project, std::to_string(i), completion.messages[i]});
    for (const auto& [name, value] : record.metadata)
      execute("metadata", {record.id.str(), organization, project, name, value});
  }

 private:
  std::string check(PGresult* result) {
    const bool good = PQresultStatus(result) == PGRES_COMMAND_OK || PQresultStatus(result) == PGRES_TUPLES_OK;
    const std::string text = !good                   ? PQresultErrorMessage(result)
                             : PQntuples(result) > 0 ? PQgetvalue(result, 0, 0)
                                                     : "";
    PQclear(result);
    if (!good) throw std::runtime_error(text);
    return text;
  }
  void prepare(const char* name, const char* sql) { check(PQprepare(handle_, name, sql, 0, nullptr)); }
  std::string execute(const char* name, std::initializer_list<std::string> values) {
    std::vector<const char*> pointers;
    for (const std::string& value : values)
      pointers.push_back(value.c_str());
    return check(PQexecPrepared(handle_, name, static_cast<int>(pointers.size()), pointers.data(), nullptr,
                                nullptr, 0));
  }

  PGconn* handle_;
};

}  // namespace hearth
