// Values that go into statements (Param) and come out of them (Value, Row, Rows).
//
// The portable subset knows null, 64-bit integers, doubles, UTF-8 text and bytes; flags are integers 0 and 1.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

#include "base/id.hpp"
#include "db/error.hpp"

namespace hearth::db {

// What a column of type BLOB holds. A type of its own: text and bytes are never taken for each other.
struct Bytes {
  std::string content;
  bool operator==(const Bytes&) const = default;
};
struct BytesView {
  std::string_view content;
};

using Value = std::variant<std::monostate, std::int64_t, double, std::string, Bytes>;

// A view of one argument: what it was made from must live until the statement has run.
class Param {
 public:
  using Content = std::variant<std::monostate, std::int64_t, double, std::string_view, BytesView>;

  Param(std::nullopt_t) {}
  template <std::integral Integer>
  Param(Integer value) : content_(static_cast<std::int64_t>(value)) {}
  Param(double value) : content_(value) {}
  Param(std::string_view text) : content_(text) {}
  Param(const std::string& text) : content_(std::string_view(text)) {}
  Param(const char* text) : content_(std::string_view(text)) {}
  Param(BytesView bytes) : content_(bytes) {}
  Param(const Bytes& bytes) : content_(BytesView(bytes.content)) {}
  template <class Tag>
  Param(const Id<Tag>& id) : content_(std::string_view(id.str())) {}
  template <class T>
  Param(const std::optional<T>& value) {
    if (value) content_ = Param(*value).content_;
  }

  const Content& content() const { return content_; }

 private:
  Content content_;
};

namespace detail {
template <class T>
inline constexpr bool is_optional = false;
template <class T>
inline constexpr bool is_optional<std::optional<T>> = true;
}  // namespace detail

// One row of a Rows, valid as long as that lives.
class Row {
 public:
  explicit Row(std::span<const Value> cells) : cells_(cells) {}

  // For what works on any table.
  const Value& cell(std::size_t column) const {
    if (column >= cells_.size()) throw Error(ErrorKind::statement, "the row has no such column");
    return cells_[column];
  }

  bool is_null(std::size_t column) const { return std::holds_alternative<std::monostate>(cell(column)); }

  // T: an integer type, bool, double, std::string, std::string_view, an Id, Bytes, BytesView, or
  // std::optional of these. Throws Error(statement) when the column holds another kind, or null and T is not
  // optional.
  template <class T>
  T get(std::size_t column) const {
    if constexpr (detail::is_optional<T>) {
      if (is_null(column)) return std::nullopt;
      return get<typename T::value_type>(column);
    } else if constexpr (std::is_same_v<T, bool>) {
      return as<std::int64_t>(column) != 0;
    } else if constexpr (std::is_integral_v<T>) {
      return static_cast<T>(as<std::int64_t>(column));
    } else if constexpr (std::is_floating_point_v<T>) {
      return as<double>(column);
    } else if constexpr (std::is_same_v<T, Bytes>) {
      return as<Bytes>(column);
    } else if constexpr (std::is_same_v<T, BytesView>) {
      return BytesView(as<Bytes>(column).content);
    } else {
      return T(as<std::string>(column));
    }
  }

 private:
  template <class T>
  const T& as(std::size_t column) const {
    const T* content = std::get_if<T>(&cell(column));
    if (content == nullptr) throw Error(ErrorKind::statement, "the column holds another type");
    return *content;
  }

  std::span<const Value> cells_;
};

// A whole result, read into memory: lists are paged, so that none is large.
class Rows {
 public:
  class Iterator {
   public:
    Iterator(const Rows& rows, std::size_t index) : rows_(&rows), index_(index) {}
    Row operator*() const { return (*rows_)[index_]; }
    Iterator& operator++() {
      ++index_;
      return *this;
    }
    bool operator==(const Iterator& other) const { return index_ == other.index_; }

   private:
    const Rows* rows_;
    std::size_t index_;
  };

  explicit Rows(std::size_t columns) : columns_(columns) {}
  // For drivers: cells row by row.
  void append(Value value) { cells_.push_back(std::move(value)); }

  std::size_t size() const { return columns_ == 0 ? 0 : cells_.size() / columns_; }
  bool empty() const { return cells_.empty(); }
  Row operator[](std::size_t index) const {
    return Row(std::span(cells_).subspan(index * columns_, columns_));
  }
  Iterator begin() const { return {*this, 0}; }
  Iterator end() const { return {*this, size()}; }

 private:
  std::size_t columns_;
  std::vector<Value> cells_;
};

}  // namespace hearth::db
