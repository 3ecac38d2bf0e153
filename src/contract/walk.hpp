// One walk of the validator over one value. Internal to validator.cpp and walk.cpp.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "contract/validator.hpp"

namespace hearth::contract {

class Walk {
 public:
  Walk(const Validator& validator, Strictness strictness, std::vector<std::string>* ignored)
      : validator_(validator), tables_(validator.tables()), strictness_(strictness), ignored_(ignored) {}

  // The way from the root to the value in hand, as a list on the stack.
  struct Step {
    const Step* up;
    std::string_view name;  // of a member; null data for an item
    std::size_t index;
  };

  // Returns whether `value` fits; if not, and a report is wanted, `violation` says why.
  bool check(std::uint16_t node, const json::value& value, const Step* at);

  Violation violation;

 private:
  enum class Report : std::uint8_t { wanted, quiet };

  bool check_number(const Node& node, const json::value& value, const Step* at);
  bool check_string(const Node& node, const json::value& value, const Step* at);
  bool check_text(const Node& node, std::string_view text, const Step* at);
  bool check_array(const Node& node, const json::value& value, const Step* at);
  bool check_object(const Node& node, const json::value& value, const Step* at);
  bool check_one_of(const Node& node, const json::object& object, const Step* at);
  bool check_map(const Node& node, const json::value& value, const Step* at);
  bool check_by_kind(const Node& node, const json::value& value, const Step* at);
  bool check_by_field(const Node& node, const json::value& value, const Step* at);
  bool check_first_of(const Node& node, const json::value& value, const Step* at);
  bool check_listed(const Node& node, std::string_view text, const Step* at);
  bool check_listed_number(const Node& node, double number, const Step* at);
  void note_ignored(const Step* at);

  // Each reports and returns false.
  bool fail(std::string_view code, const Step* at, std::string message);
  bool fail_type(const Node& node, const json::value& value, const Step* at);
  bool fail_value(const Node& node, std::string_view shown, const Step* at);
  bool fail_missing(const Step* at);
  bool fail_unknown(const Node& node, const Step* at);

  const Validator& validator_;
  const SchemaTables& tables_;
  Strictness strictness_;
  std::vector<std::string>* ignored_;
  Report report_ = Report::wanted;
  std::size_t visited_ = 0;  // values looked at; tells which arm of a union came furthest
  int depth_ = 0;
};

}  // namespace hearth::contract
