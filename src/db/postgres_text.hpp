// Values as PostgreSQL's text protocol carries them.
//
// PostgreSQL's TEXT holds neither U+0000 nor bytes that are not UTF-8, and SQLite's holds both. They go in
// and come out as escape sequences that begin with the byte 01, which itself is escaped, so that every text
// comes back as it was. Without invalid bytes the order of the escaped texts is that of the texts.
#pragma once

#include <string>
#include <string_view>

#include "db/value.hpp"

namespace hearth::db {

bool needs_escape(std::string_view text);
std::string escape_text(std::string_view text);
// Sequences that escape_text() does not write stay as they are.
std::string unescape_text(std::string_view stored);

// The types (pg_type.h) that placeholders are declared with: what the caller passes decides, not the column,
// so that an integer beyond a column's range compares as a number instead of failing.
using TypeId = unsigned int;
TypeId type_of(const Param& param);

// A non-null column as libpq hands it out in text format. Throws Error(statement) for what cannot be a value.
Value parse_column(TypeId type, std::string_view text);

// A migration's script in PostgreSQL's types. Every column of type TEXT gets the collation "C": SQLite
// compares bytes, PostgreSQL as the database's locale says, and lists must come in the same order from both.
// BLOB, as SQLite calls bytes, becomes BYTEA.
std::string to_own_types(std::string_view script);

// The highest $n outside of quotes.
std::size_t count_placeholders(std::string_view sql);

}  // namespace hearth::db
