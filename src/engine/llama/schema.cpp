#include "engine/llama/schema.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <deque>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "base/api_error.hpp"
#include "engine/llama/pattern.hpp"

namespace hearth::engine::llama {
namespace {

// The server follows references by recursion.
constexpr std::size_t most_references = 500;
// A header names the paths.
constexpr std::size_t most_paths = 8;
// Beyond these the grammar's digits run out.
constexpr double largest_bound = 1e15;

constexpr std::array<std::string_view, 11> annotations{"title",     "description", "default",    "examples",
                                                       "$comment",  "$schema",     "deprecated", "readOnly",
                                                       "writeOnly", "$defs",       "definitions"};
constexpr std::array<std::string_view, 7> type_names{"object", "array",   "string", "integer",
                                                     "number", "boolean", "null"};
constexpr std::array<std::string_view, 4> formats{"date", "time", "date-time", "uuid"};

// The keywords that the grammar keeps, and the type of value they are about.
constexpr std::array<std::pair<std::string_view, std::string_view>, 14> keywords{{
    {"properties", "object"},
    {"required", "object"},
    {"additionalProperties", "object"},
    {"items", "array"},
    {"minItems", "array"},
    {"maxItems", "array"},
    {"pattern", "string"},
    {"format", "string"},
    {"minLength", "string"},
    {"maxLength", "string"},
    {"minimum", "integer"},
    {"maximum", "integer"},
    {"exclusiveMinimum", "integer"},
    {"exclusiveMaximum", "integer"},
}};

enum class Concern {
  lost,  // a rule of the schema would not be enforced
  open,  // everything is enforced, but a strict schema must say more
};

struct Fault {
  Concern concern = Concern::lost;
  std::string where;         // from the root: ".properties.a"
  std::string_view keyword;  // of the schema; empty when something is missing
  std::string what;
};

bool is_annotation(std::string_view keyword) {
  return std::ranges::find(annotations, keyword) != annotations.end();
}

bool names(const std::vector<std::string_view>& list, std::string_view wanted) {
  return std::ranges::find(list, wanted) != list.end();
}

bool is_of_type(const json::value& value, std::string_view type) {
  const std::string_view kind = json::kind_name(value);
  if (type == "integer") return json::as_integer(value).has_value();
  return kind == type || (type == "number" && kind == "integer");
}

// The server renders every reference as a rule with a name of these characters.
std::string rule_name(std::string_view reference) {
  std::string out;
  bool in_run = false;  // a run of other characters is one dash
  for (const char c : reference) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
    if (plain || !in_run) out += plain ? c : '-';
    in_run = !plain;
  }
  return out;
}

// The server's minimum without a maximum forgets the zeros behind the first digit: 105 becomes 1 and then 5.
bool has_inner_zero(std::int64_t number) {
  const std::string digits = std::to_string(number);
  return digits.find('0', 1) < digits.size() - 1;
}

class SchemaReader {
 public:
  SchemaReader(const json::object& root, std::string_view param) : root_(root), param_(param) {}

  std::vector<Fault> read() {
    waiting_.push_back({&root_, ""});
    while (!waiting_.empty()) {
      const auto [schema, where] = waiting_.front();
      waiting_.pop_front();
      read_schema(*schema, where);
    }
    return std::move(faults_);
  }

 private:
  struct Waiting {
    const json::object* schema;
    std::string where;
  };

  void note(Concern concern, const std::string& where, std::string_view keyword, std::string what) {
    faults_.push_back({concern, where, keyword, std::move(what)});
  }
  void lose(const std::string& where, std::string_view keyword, std::string_view why) {
    note(Concern::lost, where, keyword, fmt::format("'{}' cannot be enforced: {}", keyword, why));
  }

  void allow_only(const json::object& schema, const std::string& where,
                  const std::vector<std::string_view>& kept) {
    for (const auto& member : schema) {
      if (is_annotation(member.key()) || names(kept, member.key())) continue;
      lose(where, member.key(), fmt::format("it has no effect beside '{}'", kept.front()));
    }
  }

  void read_any(const json::value& schema, const std::string& where) {
    if (schema.is_object()) {
      read_schema(schema.get_object(), where);
    } else {
      note(Concern::lost, where, "", "a schema must be an object");
    }
  }

  void read_schema(const json::object& schema, const std::string& where) {
    if (!seen_.insert(&schema).second) return;
    for (const std::string_view definitions : {"$defs", "definitions"}) {
      if (const json::object* named = json::find_object(schema, definitions)) {
        for (const auto& entry : *named)
          read_any(entry.value(), fmt::format("{}.{}.{}", where, definitions, std::string_view(entry.key())));
      }
    }
    if (schema.contains("$ref")) {
      read_reference(schema, where);
    } else if (schema.contains("oneOf")) {
      lose(where, "oneOf", "please use 'anyOf'");
      read_arms(schema, "oneOf", where);
    } else if (schema.contains("anyOf")) {
      read_arms(schema, "anyOf", where);
    } else if (schema.contains("allOf")) {
      lose(where, "allOf", "please write one schema");
    } else if (schema.contains("const")) {
      allow_only(schema, where, {"const", "type"});
      read_literal(schema, schema.at("const"), "const", where);
    } else if (schema.contains("enum")) {
      read_enum(schema, where);
    } else {
      read_types(schema, where);
    }
  }

  // ---- references

  void read_reference(const json::object& schema, const std::string& where) {
    allow_only(schema, where, {"$ref"});
    const std::string_view reference = json::find_string(schema, "$ref").value_or("");
    const json::object* target = resolve(reference);
    if (!target) {
      lose(where, "$ref", "it must name a definition of this schema, such as '#/$defs/name'");
      return;
    }
    const auto [known, is_new] = references_.emplace(rule_name(reference.substr(1)), reference);
    if (known->second != reference) {
      lose(where, "$ref", fmt::format("the name is too much like that of '{}'", known->second));
    }
    if (!is_new) return;
    if (references_.size() > most_references) {
      throw ApiError::invalid_request(
          "invalid_json_schema",
          fmt::format("Invalid schema: it refers to more than {} definitions.", most_references),
          std::string(param_));
    }
    std::string place(reference.substr(1));
    std::ranges::replace(place, '/', '.');
    waiting_.push_back({target, std::move(place)});  // not by recursion: a chain of them can be long
  }

  // As the server does it: without the escapes of JSON pointers.
  const json::object* resolve(std::string_view reference) const {
    if (!reference.starts_with("#/") || reference.find_first_of("~%") != std::string_view::npos)
      return nullptr;
    const json::object* at = &root_;
    std::string_view rest = reference.substr(2);
    while (true) {
      const auto end = rest.find('/');
      const json::value* next = json::find(*at, rest.substr(0, end));
      if (!next || !next->is_object()) return nullptr;
      at = &next->get_object();
      if (end == std::string_view::npos) return at;
      rest.remove_prefix(end + 1);
    }
  }

  // ---- alternatives and literals

  void read_arms(const json::object& schema, std::string_view keyword, const std::string& where) {
    allow_only(schema, where, {keyword});
    const json::array* arms = json::find_array(schema, keyword);
    if (!arms || arms->empty()) {
      lose(where, keyword, "it must be a list of schemas");
      return;
    }
    for (std::size_t i = 0; i < arms->size(); ++i)
      read_any((*arms)[i], fmt::format("{}.{}[{}]", where, keyword, i));
  }

  void read_enum(const json::object& schema, const std::string& where) {
    allow_only(schema, where, {"enum", "type"});
    const json::array* values = json::find_array(schema, "enum");
    if (!values || values->empty()) {
      lose(where, "enum", "it must be a list of values");
      return;
    }
    for (const json::value& value : *values)
      read_literal(schema, value, "enum", where);
  }

  void read_literal(const json::object& schema, const json::value& value, std::string_view keyword,
                    const std::string& where) {
    const auto types = listed_types(schema);
    const auto fits = [&value](std::string_view type) { return is_of_type(value, type); };
    if (schema.contains("type") && std::ranges::none_of(types, fits))
      lose(where, keyword, "it has a value that is not of the type");
  }

  // ---- types

  static std::vector<std::string_view> listed_types(const json::object& schema) {
    std::vector<std::string_view> out;
    if (const auto type = json::find_string(schema, "type")) out.push_back(*type);
    if (const json::array* list = json::find_array(schema, "type")) {
      for (const json::value& type : *list)
        out.push_back(type.is_string() ? json::view(type.get_string()) : std::string_view());
    }
    return out;
  }

  // Without a type the server looks at the keywords.
  static std::vector<std::string_view> guessed_types(const json::object& schema) {
    for (const auto& [keyword, type] : keywords) {
      if (type != "integer" && schema.contains(keyword)) return {type};
    }
    return {};
  }

  void read_types(const json::object& schema, const std::string& where) {
    std::vector<std::string_view> types = listed_types(schema);
    if (types.empty()) {
      note(Concern::open, where, "", "'type' is missing");
      types = guessed_types(schema);
    }
    for (const std::string_view type : types) {
      if (std::ranges::find(type_names, type) == type_names.end())
        lose(where, "type", fmt::format("'{}' is not a type", type));
    }
    for (const auto& member : schema)
      read_keyword(member.key(), types, where);
    if (names(types, "object")) read_object(schema, where);
    if (names(types, "array")) read_array(schema, where);
    if (names(types, "string")) read_string(schema, where);
    if (names(types, "integer")) read_integer(schema, where);
  }

  void read_keyword(std::string_view keyword, const std::vector<std::string_view>& types,
                    const std::string& where) {
    if (is_annotation(keyword) || keyword == "type") return;
    const auto known =
        std::ranges::find(keywords, keyword, &std::pair<std::string_view, std::string_view>::first);
    if (known == keywords.end()) {
      lose(where, keyword, "it is not supported");
    } else if (known->second == "integer" && names(types, "number")) {
      lose(where, keyword, "numbers have no bounds here, only integers do");
    } else if (!names(types, known->second)) {
      lose(where, keyword, fmt::format("it is only supported for the type '{}'", known->second));
    }
  }

  void read_object(const json::object& schema, const std::string& where) {
    const json::value* extra = json::find(schema, "additionalProperties");
    if (!extra || !extra->is_bool() || extra->get_bool())
      note(Concern::open, where, "additionalProperties", "'additionalProperties' must be false");
    if (extra && extra->is_object()) read_any(*extra, where + ".additionalProperties");

    const json::object* properties = json::find_object(schema, "properties");
    if (!properties && schema.contains("properties")) lose(where, "properties", "it must be an object");
    std::set<std::string_view> required;
    if (const json::array* list = json::find_array(schema, "required")) {
      for (const json::value& name : *list) {
        if (name.is_string()) required.insert(json::view(name.get_string()));
      }
    }
    for (const std::string_view name : required) {
      if (!properties || !properties->contains(name))
        lose(where, "required", fmt::format("'{}' is not one of the properties", name));
    }
    if (!properties) return;
    for (const auto& property : *properties) {
      const std::string_view name = property.key();
      if (!required.contains(name)) {
        note(Concern::open, where, "required",
             fmt::format("'required' must name every property; '{}' is missing", name));
      }
      read_any(property.value(), fmt::format("{}.properties.{}", where, name));
    }
  }

  void read_array(const json::object& schema, const std::string& where) {
    if (const json::value* items = json::find(schema, "items")) {
      read_any(*items, where + ".items");
    } else {
      note(Concern::open, where, "", "'items' is missing");
    }
    read_counts(schema, "minItems", "maxItems", where);
  }

  void read_string(const json::object& schema, const std::string& where) {
    const auto drop = [&](std::string_view keyword, std::string_view beside) {
      if (schema.contains(keyword)) lose(where, keyword, fmt::format("it has no effect beside '{}'", beside));
    };
    if (schema.contains("pattern")) {
      const auto pattern = json::find_string(schema, "pattern");
      const auto fault = why_not_enforced(pattern.value_or(""));
      if (fault) lose(where, "pattern", *fault);
      for (const std::string_view keyword : {"format", "minLength", "maxLength"})
        drop(keyword, "pattern");
    } else if (schema.contains("format")) {
      const auto format = json::find_string(schema, "format");
      if (std::ranges::find(formats, format.value_or("")) == formats.end())
        lose(where, "format", "only date, time, date-time and uuid are supported");
      for (const std::string_view keyword : {"minLength", "maxLength"})
        drop(keyword, "format");
    }
    read_counts(schema, "minLength", "maxLength", where);
  }

  void read_counts(const json::object& schema, std::string_view least, std::string_view most,
                   const std::string& where) {
    for (const std::string_view keyword : {least, most}) {
      if (!schema.contains(keyword)) continue;
      const std::int64_t count = json::find_integer(schema, keyword).value_or(-1);
      if (count < 0 || count > std::numeric_limits<std::int32_t>::max()) {
        lose(where, keyword, "it must be a count");
        return;
      }
    }
    const auto low = json::find_integer(schema, least);
    const auto high = json::find_integer(schema, most);
    if (low && high && *low > *high) lose(where, most, fmt::format("it is less than '{}'", least));
  }

  void read_integer(const json::object& schema, const std::string& where) {
    if (schema.contains("minimum") && schema.contains("exclusiveMinimum"))
      lose(where, "exclusiveMinimum", "it has no effect beside 'minimum'");
    if (schema.contains("maximum") && schema.contains("exclusiveMaximum"))
      lose(where, "exclusiveMaximum", "it has no effect beside 'maximum'");
    const auto minimum = read_bound(schema, "minimum", where);
    const auto above = read_bound(schema, "exclusiveMinimum", where);
    const auto maximum = read_bound(schema, "maximum", where);
    const auto below = read_bound(schema, "exclusiveMaximum", where);
    std::optional<std::int64_t> low;
    if (above) low = static_cast<std::int64_t>(std::floor(*above)) + 1;
    if (minimum) low = static_cast<std::int64_t>(std::ceil(*minimum));
    std::optional<std::int64_t> high;
    if (below) high = static_cast<std::int64_t>(std::ceil(*below)) - 1;
    if (maximum) high = static_cast<std::int64_t>(std::floor(*maximum));
    const std::string_view low_name = minimum ? "minimum" : "exclusiveMinimum";
    const std::string_view high_name = maximum ? "maximum" : "exclusiveMaximum";
    if (low && high && *low > *high) {
      lose(where, high_name, fmt::format("no integer also fits '{}'", low_name));
    } else if (low && !high && *low >= 10 && has_inner_zero(*low)) {
      lose(where, low_name, "please give a 'maximum' too");
    } else if (high && !low && *high < 0) {
      lose(where, high_name, "please give a 'minimum' too");
    }
  }

  std::optional<double> read_bound(const json::object& schema, std::string_view keyword,
                                   const std::string& where) {
    if (!schema.contains(keyword)) return std::nullopt;
    const auto bound = json::find_number(schema, keyword);
    if (bound && std::abs(*bound) < largest_bound) return bound;
    lose(where, keyword, "it must be a number of at most 15 digits");
    return std::nullopt;
  }

  const json::object& root_;
  std::string_view param_;
  std::vector<Fault> faults_;
  std::set<const json::object*> seen_;
  std::map<std::string, std::string_view> references_;  // by the name of their rule
  std::deque<Waiting> waiting_;
};

// Names of properties are the client's own, and may hold what a header cannot.
bool fits_header(std::string_view path) {
  constexpr std::size_t longest = 200;
  return path.size() <= longest && std::ranges::all_of(path, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  std::string_view("._-$[]").contains(c);
         });
}

}  // namespace

void check_strict_schema(const json::object& schema, std::string_view param) {
  const auto refuse = [param](std::string_view where, std::string_view what) {
    return ApiError::invalid_request(
        "invalid_json_schema", fmt::format("Invalid schema at ${}: {}.", where, what), std::string(param));
  };
  if (json::find_string(schema, "type") != "object")
    throw refuse("", "the root must be of the type 'object'");
  const std::vector<Fault> faults = SchemaReader(schema, param).read();
  if (!faults.empty()) throw refuse(faults.front().where, faults.front().what);
}

std::vector<std::string> check_loose_schema(const json::object& schema, std::string_view param) {
  std::vector<std::string> out;
  for (const Fault& fault : SchemaReader(schema, param).read()) {
    if (fault.concern != Concern::lost || out.size() == most_paths) continue;
    std::string path =
        fmt::format("{}{}{}{}", param, fault.where, fault.keyword.empty() ? "" : ".", fault.keyword);
    if (!fits_header(path)) path = param;
    if (std::ranges::find(out, path) == out.end()) out.push_back(std::move(path));
  }
  return out;
}

}  // namespace hearth::engine::llama
