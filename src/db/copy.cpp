#include "db/copy.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>

#include <fmt/format.h>

#include "base/text.hpp"

namespace hearth::db {
namespace {

constexpr std::size_t first_batch = 16;
constexpr std::size_t largest_batch = 1024;
constexpr std::size_t batch_bytes = 8U << 20;  // about; never less than one row
constexpr std::size_t most_arguments = 900;    // of one statement

std::string quote(const std::string& name) {
  return fmt::format("\"{}\"", name);
}

std::string quote(const std::vector<std::string>& names) {
  std::string out;
  for (const std::string& name : names)
    out += fmt::format("{}{}", out.empty() ? "" : ", ", quote(name));
  return out;
}

// "($3, $4)"
std::string places(std::size_t first, std::size_t count) {
  std::string out;
  for (std::size_t i = 0; i < count; ++i)
    out += fmt::format("{}${}", i == 0 ? "" : ", ", first + i);
  return fmt::format("({})", out);
}

using Cells = std::vector<Value>;

Param to_param(const Value& value) {
  struct Convert {
    Param operator()(std::monostate) const { return std::nullopt; }
    Param operator()(std::int64_t number) const { return number; }
    Param operator()(double number) const { return number; }
    Param operator()(const std::string& text) const { return text; }
    Param operator()(const Bytes& bytes) const { return bytes; }
  };
  return std::visit(Convert{}, value);
}

std::size_t bytes_of(const Cells& row) {
  std::size_t bytes = 0;
  for (const Value& value : row) {
    const auto* text = std::get_if<std::string>(&value);
    const auto* blob = std::get_if<Bytes>(&value);
    bytes +=
        sizeof(Value) + (text != nullptr ? text->size() : 0) + (blob != nullptr ? blob->content.size() : 0);
  }
  return bytes;
}

// Reads a table in the order of its key, a batch at a time.
class TableReader {
 public:
  TableReader(Session& session, const Table& table) : session_(session), table_(table) {
    for (const std::string& name : table.key)
      key_.push_back(
          static_cast<std::size_t>(std::ranges::find(table.columns, name) - table.columns.begin()));
  }

  // The next row; null at the end.
  const Cells* next() {
    if (at_ == batch_.size() && !done_) read();
    return at_ < batch_.size() ? &batch_[at_++] : nullptr;
  }

 private:
  void read() {
    const std::string key = quote(table_.key);
    std::vector<Param> params;
    std::string condition;
    if (!last_.empty()) {
      for (const Value& value : last_)
        params.push_back(to_param(value));
      condition = fmt::format(" WHERE ({}) > {}", key, places(1, params.size()));
    }
    params.emplace_back(limit_);
    const Rows rows =
        session_.query(fmt::format("SELECT {} FROM {}{} ORDER BY {} LIMIT ${}", quote(table_.columns),
                                   quote(table_.name), condition, key, params.size()),
                       params);
    batch_.clear();
    at_ = 0;
    std::size_t bytes = 0;
    for (const Row row : rows) {
      Cells cells;
      for (std::size_t column = 0; column < table_.columns.size(); ++column)
        cells.push_back(row.cell(column));
      bytes += bytes_of(cells);
      batch_.push_back(std::move(cells));
    }
    done_ = batch_.size() < limit_;
    if (!batch_.empty()) {
      Cells last;
      for (const std::size_t column : key_)
        last.push_back(batch_.back()[column]);
      last_ = std::move(last);
    }
    limit_ = bytes > batch_bytes ? std::max<std::size_t>(limit_ / 4, 1) : std::min(limit_ * 2, largest_batch);
  }

  Session& session_;
  const Table& table_;
  std::vector<std::size_t> key_;  // columns
  std::vector<Cells> batch_;
  std::size_t at_ = 0;
  std::size_t limit_ = first_batch;
  Cells last_;  // key of the last row read
  bool done_ = false;
};

// Inserts rows, several in one statement while the same of their cells are null: a statement's arguments keep
// their types.
class TableWriter {
 public:
  TableWriter(Session& session, const Table& table)
      : session_(session),
        insert_(fmt::format("INSERT INTO {} ({}) VALUES ", quote(table.name), quote(table.columns))),
        chunk_(std::max<std::size_t>(most_arguments / table.columns.size(), 1)) {}

  void add(const Cells& row) {
    if (!waiting_.empty() && !are_alike(waiting_.back(), row)) flush();
    waiting_.push_back(row);
    bytes_ += bytes_of(row);
    if (waiting_.size() == chunk_) {
      insert(waiting_);
      clear();
    } else if (bytes_ > batch_bytes) {
      flush();
    }
  }
  // Row by row, so that the number of different statements stays small.
  void flush() {
    for (const Cells& row : waiting_)
      insert({&row, 1});
    clear();
  }

 private:
  static bool are_alike(const Cells& left, const Cells& right) {
    return std::ranges::equal(left, right, {}, &Value::index, &Value::index);
  }
  void insert(std::span<const Cells> rows) {
    std::string sql = insert_;
    std::vector<Param> params;
    for (const Cells& row : rows) {
      sql += fmt::format("{}{}", params.empty() ? "" : ", ", places(params.size() + 1, row.size()));
      for (const Value& value : row)
        params.push_back(to_param(value));
    }
    session_.query(sql, params);
  }
  void clear() {
    waiting_.clear();
    bytes_ = 0;
  }

  Session& session_;
  std::string insert_;
  std::size_t chunk_;
  std::vector<Cells> waiting_;
  std::size_t bytes_ = 0;
};

// A sum over rows that does not depend on their order, since engines may order the same texts differently:
// the SHA-256 of each row, added up modulo 2^256. A row is every cell with its kind and its length, so that
// no two different rows have the same bytes.
class RowDigest {
 public:
  void add(const Cells& row) {
    struct Write {
      text::Sha256& digest;
      void put(std::string_view kind, std::string_view content) const {
        digest.add(fmt::format("{}{}:", kind, content.size()));
        digest.add(content);
      }
      void operator()(std::monostate) const { put("n", {}); }
      void operator()(std::int64_t number) const { put("i", fmt::format("{}", number)); }
      void operator()(double number) const {
        put("d", fmt::format("{:x}", std::bit_cast<std::uint64_t>(number)));
      }
      void operator()(const std::string& content) const { put("t", content); }
      void operator()(const Bytes& bytes) const { put("b", bytes.content); }
    };
    text::Sha256 digest;
    for (const Value& value : row)
      std::visit(Write{digest}, value);
    add_up(digest.finish_hex());
    ++rows_;
  }
  std::int64_t rows() const { return rows_; }
  std::string finish() const {
    std::string hex;
    for (const std::uint32_t word : sum_)
      hex += fmt::format("{:08x}", word);
    return hex;
  }

 private:
  static constexpr std::size_t digits = 8;  // hexadecimal ones of a word

  void add_up(std::string_view hex) {
    std::uint64_t carry = 0;
    for (std::size_t i = sum_.size(); i-- > 0;) {
      std::uint32_t word = 0;
      const std::string_view part = hex.substr(i * digits, digits);
      std::from_chars(part.begin(), part.end(), word, 16);
      carry += std::uint64_t{sum_[i]} + word;
      sum_[i] = static_cast<std::uint32_t>(carry);
      carry >>= 32;
    }
  }

  std::array<std::uint32_t, 8> sum_{};  // the most significant word first
  std::int64_t rows_ = 0;
};

std::vector<Table> copied_tables(Session& session, std::span<const std::string> left_out) {
  std::vector<Table> tables = session.list_tables();
  std::erase_if(
      tables, [&](const Table& table) { return std::ranges::find(left_out, table.name) != left_out.end(); });
  return tables;
}

void check_same_schema(const std::vector<Table>& source, const std::vector<Table>& target) {
  const auto is_same = [](const Table& left, const Table& right) {
    return left.name == right.name && left.columns == right.columns && left.key == right.key;
  };
  if (std::ranges::equal(source, target, is_same)) return;
  throw Error(ErrorKind::statement, "the two databases do not have the same tables and columns");
}

}  // namespace

std::vector<Table> order_by_references(std::vector<Table> tables) {
  std::vector<Table> ordered;
  const auto is_placed = [&](const std::string& name) {
    return std::ranges::find(ordered, name, &Table::name) != ordered.end();
  };
  while (!tables.empty()) {
    const auto next = std::ranges::find_if(
        tables, [&](const Table& table) { return std::ranges::all_of(table.references, is_placed); });
    if (next == tables.end()) {
      throw Error(ErrorKind::statement,
                  fmt::format("the tables {} refer to each other", tables.front().name));
    }
    if (next->key.empty()) {
      throw Error(ErrorKind::statement, fmt::format("the table {} has no primary key", next->name));
    }
    ordered.push_back(std::move(*next));
    tables.erase(next);
  }
  return ordered;
}

std::vector<CopiedTable> copy_rows(Session& source, Session& target, std::span<const std::string> left_out) {
  std::vector<Table> tables = copied_tables(source, left_out);
  check_same_schema(tables, copied_tables(target, left_out));
  tables = order_by_references(std::move(tables));
  // Migrations leave rows behind; the source has its own.
  for (auto table = tables.rbegin(); table != tables.rend(); ++table)
    target.execute(fmt::format("DELETE FROM {}", quote(table->name)));
  for (const Table& table : tables) {
    TableReader reader(source, table);
    TableWriter writer(target, table);
    while (const Cells* row = reader.next())
      writer.add(*row);
    writer.flush();
  }
  std::vector<CopiedTable> copied;
  for (const Table& table : tables)
    copied.push_back(verify_table(source, target, table));
  return copied;
}

CopiedTable verify_table(Session& source, Session& target, const Table& table) {
  TableReader source_rows(source, table);
  TableReader target_rows(target, table);
  RowDigest source_digest;
  RowDigest target_digest;
  for (;;) {  // in step: neither side waits for long
    const Cells* from_source = source_rows.next();
    const Cells* from_target = target_rows.next();
    if (from_source != nullptr) source_digest.add(*from_source);
    if (from_target != nullptr) target_digest.add(*from_target);
    if (from_source == nullptr && from_target == nullptr) break;
  }
  CopiedTable copied{table.name, source_digest.rows(), source_digest.finish()};
  if (target_digest.rows() != copied.rows || target_digest.finish() != copied.sha256) {
    throw Error(ErrorKind::unavailable,
                fmt::format("the copy of the table {} differs from its source: {} rows, {} there", table.name,
                            copied.rows, target_digest.rows()));
  }
  return copied;
}

}  // namespace hearth::db
