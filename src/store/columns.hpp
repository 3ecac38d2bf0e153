// Rows as structs: which member is in which column is written down once, and serves reading and writing.
// Objects of a project or an organization are named by an id and listed in the order of their creation.
//
//   constexpr Columns users{{.table = "users", .missing = Rule::user_exists}, Column{"id", &User::id},
//                           Column{"name", &User::name}};
//   users.insert(connection, organization, user, {{"email_key", key}});
//   const User user = users.get(connection, organization, id);
//   users.update(connection, organization, id, {{"name", name}});
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "db/connection.hpp"
#include "store/page.hpp"
#include "store/refusal.hpp"
#include "store/roles.hpp"
#include "store/sequence.hpp"
#include "store/tenant.hpp"

namespace hearth::store {

// A column and its value: a part of a row, or, in a condition, what it must be equal to. A view of the value.
struct Field {
  std::string_view column;
  db::Param value;
};
using Fields = std::vector<Field>;

// The columns that name the owner of a row, then `more`.
Fields within(const OrganizationId& organization, Fields more = {});
Fields within(const Tenant& tenant, Fields more = {});

// Names of tables and columns are literals and become SQL; values never do. Conditions hold together, and
// there is at least one. Thread: the database's.
void insert(db::Connection& connection, std::string_view table, const Fields& row);
// How many rows were changed.
std::int64_t update(db::Connection& connection, std::string_view table, const Fields& changed,
                    const Fields& where);
std::int64_t erase(db::Connection& connection, std::string_view table, const Fields& where);
// `prefix` stands in front of each column of the conditions.
db::Rows select(db::Connection& connection, std::string_view columns, std::string_view table,
                const Fields& where, std::string_view prefix = "");

// The distinct values of a column of ids.
template <class Id>
std::set<Id> select_ids(db::Connection& connection, std::string_view column, std::string_view table,
                        const Fields& where) {
  std::set<Id> ids;
  for (const db::Row row : select(connection, column, table, where))
    ids.insert(row.get<Id>(0));
  return ids;
}

// How a member of type T is kept. Specialised for what the database does not know.
template <class T>
struct Kept {
  static const T& write(const T& value) { return value; }
  static T read(const db::Row& row, std::size_t column) { return row.get<T>(column); }
};
template <>
struct Kept<contract::ProjectRole> {
  static std::string_view write(contract::ProjectRole role) { return role_name(role); }
  static contract::ProjectRole read(const db::Row& row, std::size_t column) {
    return parse_project_role(row.get<std::string_view>(column));
  }
};

template <class Record, class Member>
struct Column {
  std::string_view name;
  Member Record::* member;
};

// Where objects are kept. They have the columns of their owner (see within()), `id`, `time` and `sequence`.
struct Objects {
  std::string_view table;
  Rule missing;                          // what is broken where there is no such object
  std::string_view id = "id";            // unique within the owner
  std::string_view time = "created_at";  // then by `sequence`: the order of lists
  // For objects of which other tables hold a part: what is read in place of the table, and what the columns
  // above have in front there.
  std::string_view join = "";
  std::string_view prefix = "";
};

// `Owner`: an OrganizationId or a Tenant. What belongs to another one is not found. Thread: the database's.
template <class Record, class... Members>
class Columns {
 public:
  constexpr explicit Columns(Objects objects, Column<Record, Members>... columns)
      : objects_(objects), columns_(columns...) {}

  template <class Owner, class Id>
  std::optional<Record> find(db::Connection& connection, const Owner& owner, const Id& id) const {
    const db::Rows rows =
        select(connection, column_names(), source(), within(owner, {{objects_.id, id}}), objects_.prefix);
    return rows.empty() ? std::nullopt : std::optional(read(rows[0]));
  }

  // Refused where there is none. `position`: of the id, where several were given.
  template <class Owner, class Id>
  Record get(db::Connection& connection, const Owner& owner, const Id& id,
             std::optional<std::size_t> position = std::nullopt) const {
    auto found = find(connection, owner, id);
    if (!found) refuse(objects_.missing, id.str(), position);
    return std::move(*found);
  }

  // `narrow(PagedSelect&)` adds conditions. ApiError 400 when `page.after` is not in the list.
  template <class Owner, class Narrow>
  Page<Record> list(db::Connection& connection, const Owner& owner, const PageRequest& page,
                    Narrow narrow) const {
    const Names names(objects_);
    const std::string columns = column_names();
    PagedSelect select(columns, source(), {names.time, names.sequence});
    for (const Field& field : within(owner))
      select.where(std::string(objects_.prefix) + std::string(field.column) + " = {}", field.value);
    narrow(select);
    return select.read<Record>(connection, page, names.id, page.after,
                               [this](const db::Row& row) { return read(row); });
  }
  template <class Owner>
  Page<Record> list(db::Connection& connection, const Owner& owner, const PageRequest& page) const {
    return list(connection, owner, page, [](PagedSelect&) {});
  }

  // As the newest of the owner's. `more`: columns that no member holds.
  template <class Owner>
  void insert(db::Connection& connection, const Owner& owner, const Record& record,
              const Fields& more = {}) const {
    std::apply(
        [&](const auto&... columns) {
          // What is made for the database lives until the statement has run.
          const auto write = [&](const auto&... values) {
            Fields row = more;
            (row.push_back({columns.name, values}), ...);
            insert_row(connection, owner, std::move(row));
          };
          write(Kept<Members>::write(record.*columns.member)...);
        },
        columns_);
  }

  // The same, where no record holds the columns.
  template <class Owner>
  void insert_row(db::Connection& connection, const Owner& owner, Fields row) const {
    row.push_back({"sequence", next_sequence(connection, owner, objects_.table)});
    store::insert(connection, objects_.table, within(owner, std::move(row)));
  }

  // False when there is no such object.
  template <class Owner, class Id>
  bool update(db::Connection& connection, const Owner& owner, const Id& id, const Fields& changed) const {
    return store::update(connection, objects_.table, changed, within(owner, {{objects_.id, id}})) == 1;
  }
  template <class Owner, class Id>
  bool erase(db::Connection& connection, const Owner& owner, const Id& id) const {
    return store::erase(connection, objects_.table, within(owner, {{objects_.id, id}})) == 1;
  }

 private:
  // The columns' names in `join`.
  struct Names {
    explicit Names(const Objects& objects)
        : prefix(objects.prefix),
          id(prefix + std::string(objects.id)),
          time(prefix + std::string(objects.time)),
          sequence(prefix + "sequence") {}

    std::string prefix, id, time, sequence;
  };

  std::string_view source() const { return objects_.join.empty() ? objects_.table : objects_.join; }

  // As read() expects them: "id, name".
  std::string column_names() const {
    std::string names;
    visit([&names](const auto& column) { (names += names.empty() ? "" : ", ") += column.name; });
    return names;
  }
  Record read(const db::Row& row) const {
    Record record;
    std::size_t place = 0;
    visit([&]<class Member>(const Column<Record, Member>& column) {
      record.*column.member = Kept<Member>::read(row, place++);
    });
    return record;
  }
  template <class Visit>
  void visit(Visit visit) const {
    std::apply([&](const auto&... columns) { (visit(columns), ...); }, columns_);
  }

  Objects objects_;
  std::tuple<Column<Record, Members>...> columns_;
};

}  // namespace hearth::store
