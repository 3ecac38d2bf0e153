#include "store/columns.hpp"

#include <fmt/format.h>

namespace hearth::store {
namespace {

// A statement under construction: texts that name the values by their number.
class Statement {
 public:
  // "a = $1, b = $2" for a separator of ", ".
  std::string equalities(const Fields& fields, std::string_view separator, std::string_view prefix = "") {
    std::string text;
    for (const Field& field : fields)
      text +=
          fmt::format("{}{}{} = {}", text.empty() ? "" : separator, prefix, field.column, place(field.value));
    return text;
  }
  std::string place(const db::Param& value) {
    values_.push_back(value);
    return fmt::format("${}", values_.size());
  }
  const std::vector<db::Param>& values() const { return values_; }

 private:
  std::vector<db::Param> values_;
};

Fields join(Fields first, Fields more) {
  first.insert(first.end(), more.begin(), more.end());
  return first;
}

}  // namespace

Fields within(const OrganizationId& organization, Fields more) {
  return join({{"organization_id", organization}}, std::move(more));
}

Fields within(const Tenant& tenant, Fields more) {
  return join({{"organization_id", tenant.organization}, {"project_id", tenant.project}}, std::move(more));
}

void insert(db::Connection& connection, std::string_view table, const Fields& row) {
  Statement statement;
  std::string columns;
  std::string places;
  for (const Field& field : row) {
    const std::string_view comma = columns.empty() ? "" : ", ";
    columns += fmt::format("{}{}", comma, field.column);
    places += fmt::format("{}{}", comma, statement.place(field.value));
  }
  connection.execute(fmt::format("INSERT INTO {} ({}) VALUES ({})", table, columns, places),
                     statement.values());
}

std::int64_t update(db::Connection& connection, std::string_view table, const Fields& changed,
                    const Fields& where) {
  Statement statement;
  const std::string values = statement.equalities(changed, ", ");
  const std::string conditions = statement.equalities(where, " AND ");
  return connection.execute(fmt::format("UPDATE {} SET {} WHERE {}", table, values, conditions),
                            statement.values());
}

std::int64_t erase(db::Connection& connection, std::string_view table, const Fields& where) {
  Statement statement;
  const std::string conditions = statement.equalities(where, " AND ");
  return connection.execute(fmt::format("DELETE FROM {} WHERE {}", table, conditions), statement.values());
}

db::Rows select(db::Connection& connection, std::string_view columns, std::string_view table,
                const Fields& where, std::string_view prefix) {
  Statement statement;
  const std::string conditions = statement.equalities(where, " AND ", prefix);
  return connection.query(fmt::format("SELECT {} FROM {} WHERE {}", columns, table, conditions),
                          statement.values());
}

}  // namespace hearth::store
