// The shape of the generated tables: what tools/contractc writes and the router, the validator and the gate
// read.
//
// All of it is constant data, indexed by small integers. tools/contractc/tables.py makes it; change both
// together. Thread: any; nothing here is ever written.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <type_traits>

#include "contract/operation.hpp"

namespace hearth::contract {

inline constexpr std::uint16_t no_node = 0xFFFF;
inline constexpr std::uint8_t no_field = 0xFF;

enum class Kind : std::uint8_t {
  any,
  null,
  boolean,
  integer,
  number,
  string,
  array,
  object,    // listed fields, and members of type `inner` where that is set
  map,       // any member names, values of type `inner`
  by_kind,   // arms[first + ValueKind]
  by_field,  // choices[first, count) by the text of member `name`; `inner` for other texts, `absent` without
             // it
  first_of,  // arms[first, count), the first that fits
};

// The kinds of JSON value, as by_kind tells them apart.
enum class ValueKind : std::uint8_t { null, boolean, number, string, array, object };

enum class Format : std::uint8_t { none, unixtime, uri, base64, binary };

namespace node_flag {
inline constexpr std::uint8_t nullable = 1;
inline constexpr std::uint8_t has_min = 2;
inline constexpr std::uint8_t has_max = 4;
inline constexpr std::uint8_t has_enum = 8;  // values[first, count) are the only ones
}  // namespace node_flag

namespace field_flag {
inline constexpr std::uint8_t required = 1;
inline constexpr std::uint8_t deprecated = 2;
inline constexpr std::uint8_t ignored = 4;  // accepted without effect
inline constexpr std::uint8_t secret = 8;   // never logged
}  // namespace field_flag

struct Node {
  Kind kind = Kind::any;
  std::uint8_t flags = 0;
  Format format = Format::none;
  std::uint8_t slot_bits = 0;  // object: log2 of its hash slots
  std::uint16_t first = 0;     // object: fields; by_kind, first_of: arms; by_field: choices; else: values
  std::uint16_t count = 0;
  std::uint16_t inner = no_node;   // array: item; map: value; object: further members; by_field: other texts
  std::uint16_t absent = no_node;  // by_field: the arm for an object without the member
  std::uint16_t required = 0;      // object: how many fields, the first ones, must be present
  std::uint16_t one_of = 0;        // object: of one_of[one_of, one_of_count) exactly one is present
  std::uint8_t one_of_count = 0;
  std::uint16_t pattern = 0;    // string: patterns[pattern], 0 = none
  std::uint32_t hash_seed = 0;  // object
  std::uint32_t slots = 0;      // object: slots[slots, 1 << slot_bits)
  std::uint32_t key_max = 0;    // map: longest member name, 0 = any
  double min = 0;
  double max = 0;
  std::string_view name{};  // by_field: the member that tells the arms apart
};

struct Field {
  std::string_view name;
  std::uint16_t node;
  std::uint8_t flags;
  std::uint8_t requires_field;  // index in the same object, or no_field
  std::uint16_t default_value;  // defaults[default_value], 0 = none
};

// One value of an enum: a string, or the JSON text of another scalar.
struct EnumValue {
  ValueKind kind;
  std::string_view text;
  double number;
};

struct Choice {
  std::string_view text;
  std::uint16_t node;
};

// A pattern is a sequence of atoms, each a set of bytes repeated min..max times; anchored at both ends. The
// generator only lets through patterns that need no backtracking.
struct PatternAtom {
  std::array<std::uint64_t, 4> bytes;
  std::uint32_t min;
  std::uint32_t max;
};
struct Pattern {
  std::string_view text;
  std::span<const PatternAtom> atoms;
};

// The route tree: one node per path segment.
struct RouteMethod {
  std::string_view method;
  OperationId operation;
};
struct RouteNode {
  std::uint16_t first_child;  // route_children[first_child, child_count), sorted by text
  std::uint16_t child_count;
  std::uint16_t param_child;  // the node for a {parameter}, or no_node
  std::uint16_t first_method;
  std::uint16_t method_count;
  bool takes_rest;  // its {parameter} spans the slashes that no longer route matches
};
struct RouteChild {
  std::string_view text;
  std::uint16_t node;
};

struct SchemaTables {
  std::span<const Node> nodes;  // the named schemas first: a SchemaId is an index here
  std::span<const std::string_view> schema_names;
  std::span<const Field> fields;
  std::span<const std::uint8_t> slots;
  std::span<const std::uint16_t> arms;
  std::span<const Choice> choices;
  std::span<const EnumValue> values;
  std::span<const Pattern> patterns;
  std::span<const std::string_view> defaults;  // JSON texts
  std::span<const std::uint8_t> one_of;        // indexes of fields in their object
  SchemaId error_schema;                       // the body of every error, or no_schema
};

struct OperationTables {
  std::span<const Operation> operations;
  std::span<const RouteNode> routes;  // the root first
  std::span<const RouteChild> route_children;
  std::span<const RouteMethod> route_methods;
};

// What a reader of the tables is given: the API's own, or the small fixture of the unit tests.
struct Tables {
  const SchemaTables schemas;
  const OperationTables operations;
};

// The API's own tables, in generated/contract/schemas.cpp and operations.cpp.
extern const SchemaTables generated_schemas;
extern const OperationTables generated_operations;

// The hash by which an object's fields are found. tools/contractc/tables.py has the same function.
constexpr std::uint32_t hash_name(std::string_view name, std::uint32_t seed) {
  auto word = [&](std::size_t at) {
    std::uint32_t result = 0;
    if (!std::is_constant_evaluated() && at + 4 <= name.size()) {
      std::memcpy(&result, name.data() + at, 4);  // little-endian, as all that we build for
      return result;
    }
    for (std::size_t i = 0; i < 4 && at + i < name.size(); ++i)
      result |= std::uint32_t{static_cast<unsigned char>(name[at + i])} << (8 * i);
    return result;
  };
  const std::size_t size = name.size();
  std::uint32_t hash = seed ^ static_cast<std::uint32_t>(size);
  hash = (hash ^ word(0)) * 0x9E3779B1U;
  hash = (hash ^ (hash >> 15) ^ word(size < 8 ? 4 : size / 2)) * 0x85EBCA77U;
  hash = (hash ^ (hash >> 14) ^ word(size / 4)) * 0x27D4EB2FU;
  hash = (hash ^ (hash >> 15) ^ word(size - size / 4)) * 0x165667B1U;
  hash = (hash ^ (hash >> 13) ^ word(size < 4 ? 0 : size - 4)) * 0xC2B2AE3DU;
  return hash ^ (hash >> 16);
}

}  // namespace hearth::contract
