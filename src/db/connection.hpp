// What a store's function is given to talk to the database.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string_view>

#include "db/value.hpp"

namespace hearth::db {

// Blocking; used on one thread, the database's. Statements are written in the portable subset of SQLite and
// PostgreSQL, with placeholders $1, $2, … (the same number may stand more than once), and are prepared once
// per connection: values never become SQL text. Throws db::Error, after which the work must end: PostgreSQL
// runs nothing more in it. The type of a placeholder is that of its argument; the same one for every use.
class Connection {
 public:
  virtual ~Connection() = default;

  Rows query(std::string_view sql, std::initializer_list<Param> params = {}) {
    return run_query(sql, {params.begin(), params.size()});
  }
  Rows query(std::string_view sql, std::span<const Param> params) { return run_query(sql, params); }

  // How many rows it changed.
  std::int64_t execute(std::string_view sql, std::initializer_list<Param> params = {}) {
    return run_execute(sql, {params.begin(), params.size()});
  }
  std::int64_t execute(std::string_view sql, std::span<const Param> params) {
    return run_execute(sql, params);
  }

  // What is written here is kept by caches: see Database::on_quiet_commit.
  void announce() { announces_ = true; }

 protected:
  bool announces_ = false;

  virtual Rows run_query(std::string_view sql, std::span<const Param> params) = 0;
  virtual std::int64_t run_execute(std::string_view sql, std::span<const Param> params) = 0;
};

}  // namespace hearth::db
