// Values of settings: from what a source wrote into Config, and back into text.
#include <algorithm>
#include <charconv>
#include <filesystem>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "app/quantities.hpp"
#include "app/settings.hpp"

namespace hearth::app {
namespace {

using Failure = std::unexpected<std::string>;

std::string render_list(const std::vector<std::string>& list) {
  std::vector<std::string> items;
  for (const std::string& item : list)
    items.push_back(quote(item));
  return fmt::format("[{}]", fmt::join(items, ", "));
}

std::string shown(const Written& value) {
  struct Show {
    std::string operator()(const Untyped& v) const { return quote(v.text); }
    std::string operator()(bool v) const { return v ? "true" : "false"; }
    std::string operator()(std::int64_t v) const { return fmt::format("{}", v); }
    std::string operator()(double v) const { return fmt::format("{}", v); }
    std::string operator()(const std::string& v) const { return quote(v); }
    std::string operator()(const std::vector<std::string>& v) const { return render_list(v); }
    std::string operator()(const Foreign& v) const { return v.kind; }
  };
  return std::visit(Show{}, value);
}

// A secret in a wrong form must not be repeated in the message.
Failure mismatch(const Setting& setting, const Written& value) {
  if (setting.form == Form::secret) return Failure(fmt::format("expected {}", expected_form(setting)));
  return Failure(fmt::format("expected {}, not {}", expected_form(setting), shown(value)));
}

// The text of a scalar: what a flag says, or a TOML string.
const std::string* text_of(const Written& value) {
  if (const auto* untyped = std::get_if<Untyped>(&value)) return &untyped->text;
  return std::get_if<std::string>(&value);
}

std::optional<bool> boolean_of(const Written& value) {
  if (const auto* flag = std::get_if<bool>(&value)) return *flag;
  const auto* untyped = std::get_if<Untyped>(&value);
  if (untyped == nullptr) return std::nullopt;
  if (untyped->text == "true" || untyped->text == "1") return true;
  if (untyped->text == "false" || untyped->text == "0") return false;
  return std::nullopt;
}

std::optional<std::uint64_t> number_of(const Setting& setting, const Written& value) {
  std::optional<std::uint64_t> number;
  if (const auto* integer = std::get_if<std::int64_t>(&value)) {
    if (*integer >= 0 && setting.form != Form::duration) number = static_cast<std::uint64_t>(*integer);
  } else if (setting.form == Form::integer) {
    const auto* untyped = std::get_if<Untyped>(&value);
    if (untyped != nullptr) number = parse_whole_number(untyped->text);
  } else if (const std::string* text = text_of(value)) {
    if (setting.form == Form::size) number = parse_size(*text);
    if (setting.form == Form::duration) {
      if (const auto duration = parse_duration(*text)) {
        number = static_cast<std::uint64_t>(duration->count());
      }
    }
  }
  if (!number || *number < setting.bounds.min || *number > setting.bounds.max) return std::nullopt;
  return number;
}

// True when the number is neither negative nor infinite.
std::optional<double> decimal_of(const Setting& setting, const Written& value) {
  std::optional<double> number;
  if (const auto* decimal = std::get_if<double>(&value)) number = *decimal;
  if (const auto* integer = std::get_if<std::int64_t>(&value)) number = static_cast<double>(*integer);
  if (const auto* untyped = std::get_if<Untyped>(&value)) {
    const std::string& text = untyped->text;
    double parsed = 0;
    const auto [end, error] =
        std::from_chars(text.data(), text.data() + text.size(), parsed, std::chars_format::fixed);
    if (error == std::errc() && end == text.data() + text.size()) number = parsed;
  }
  const bool inside = number && *number >= static_cast<double>(setting.bounds.min) &&
                      *number <= static_cast<double>(setting.bounds.max);
  return inside ? number : std::nullopt;
}

std::vector<std::string> split_at_commas(std::string_view text) {
  std::vector<std::string> items;
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    std::string_view item = text.substr(0, comma);
    while (item.starts_with(' '))
      item.remove_prefix(1);
    while (item.ends_with(' '))
      item.remove_suffix(1);
    if (!item.empty()) items.emplace_back(item);
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return items;
}

std::optional<std::vector<std::string>> list_of(const Setting& setting, const Written& value) {
  std::optional<std::vector<std::string>> items;
  if (const auto* untyped = std::get_if<Untyped>(&value)) items = split_at_commas(untyped->text);
  if (const auto* list = std::get_if<std::vector<std::string>>(&value)) items = *list;
  if (!items) return std::nullopt;
  const auto is_choice = [&](const std::string& item) {
    return std::ranges::find(setting.choices, item) != setting.choices.end();
  };
  if (!setting.choices.empty() && !std::ranges::all_of(*items, is_choice)) return std::nullopt;
  return items;
}

std::string absolute_path(std::string_view path, std::string_view base) {
  if (path.empty()) return {};
  return (std::filesystem::path(base) / path).lexically_normal().string();
}

// Writes a value of the setting's form into the slot it fits; the table pairs forms and slots rightly.
struct Assign {
  const Setting& setting;
  const Written& value;
  std::string_view base;

  std::expected<void, std::string> operator()(bool* slot) const {
    const auto flag = boolean_of(value);
    if (!flag) return mismatch(setting, value);
    *slot = *flag;
    return {};
  }
  template <class Number>
    requires std::is_integral_v<Number>
  std::expected<void, std::string> operator()(Number* slot) const {
    const auto number = number_of(setting, value);
    if (!number || !std::in_range<Number>(*number)) return mismatch(setting, value);
    *slot = static_cast<Number>(*number);
    return {};
  }
  std::expected<void, std::string> operator()(std::chrono::milliseconds* slot) const {
    const auto number = number_of(setting, value);
    if (!number) return mismatch(setting, value);
    *slot = std::chrono::milliseconds(static_cast<std::int64_t>(*number));
    return {};
  }
  std::expected<void, std::string> operator()(std::optional<double>* slot) const {
    const auto number = decimal_of(setting, value);
    if (!number) return mismatch(setting, value);
    *slot = *number;
    return {};
  }
  std::expected<void, std::string> operator()(std::string* slot) const {
    const std::string* text = text_of(value);
    if (text == nullptr) return mismatch(setting, value);
    *slot = setting.form == Form::path ? absolute_path(*text, base) : *text;
    return {};
  }
  std::expected<void, std::string> operator()(std::vector<std::string>* slot) const {
    auto items = list_of(setting, value);
    if (!items) return mismatch(setting, value);
    *slot = std::move(*items);
    return {};
  }
  template <class Choice>
    requires std::is_enum_v<Choice>
  std::expected<void, std::string> operator()(Choice* slot) const {
    const std::string* text = text_of(value);
    if (text == nullptr) return mismatch(setting, value);
    const auto found = std::ranges::find(setting.choices, *text);
    if (found == setting.choices.end()) return mismatch(setting, value);
    *slot = static_cast<Choice>(found - setting.choices.begin());
    return {};
  }
};

struct Render {
  const Setting& setting;

  std::string operator()(const bool* slot) const { return *slot ? "true" : "false"; }
  template <class Number>
    requires std::is_integral_v<Number>
  std::string operator()(const Number* slot) const {
    return setting.form == Form::size ? quote(format_size(*slot)) : fmt::format("{}", *slot);
  }
  std::string operator()(const std::chrono::milliseconds* slot) const {
    return quote(format_duration(*slot));
  }
  std::string operator()(const std::optional<double>* slot) const {
    return *slot ? fmt::format("{}", **slot) : quote("");
  }
  std::string operator()(const std::string* slot) const {
    return quote(setting.form == Form::secret && !slot->empty() ? "***" : *slot);
  }
  std::string operator()(const std::vector<std::string>* slot) const { return render_list(*slot); }
  template <class Choice>
    requires std::is_enum_v<Choice>
  std::string operator()(const Choice* slot) const {
    return quote(setting.choices[static_cast<std::size_t>(*slot)]);
  }
};

std::string bounds_text(const Bounds& bounds, std::string (*format)(std::uint64_t)) {
  const Bounds none;
  if (bounds.min == none.min && bounds.max == none.max) return {};
  if (bounds.max == none.max) return fmt::format(", at least {}", format(bounds.min));
  return fmt::format(" from {} to {}", format(bounds.min), format(bounds.max));
}

}  // namespace

std::expected<void, std::string> assign(const Setting& setting, const Slot& slot, const Written& value,
                                        std::string_view base) {
  return std::visit(Assign{setting, value, base}, slot);
}

std::string expected_form(const Setting& setting) {
  const auto plain = [](std::uint64_t n) { return fmt::format("{}", n); };
  const auto duration = [](std::uint64_t n) {
    return format_duration(std::chrono::milliseconds(static_cast<std::int64_t>(n)));
  };
  switch (setting.form) {
    case Form::boolean:
      return "true or false";
    case Form::integer:
      return "a whole number" + bounds_text(setting.bounds, plain);
    case Form::size:
      return "a size such as \"32MiB\"" + bounds_text(setting.bounds, format_size);
    case Form::duration:
      return "a duration such as \"30s\"" + bounds_text(setting.bounds, duration);
    case Form::decimal:
      return "a number such as 0.15" + bounds_text(setting.bounds, plain);
    case Form::text:
    case Form::secret:
      return "a text";
    case Form::path:
      return "a path";
    case Form::choice:
      return fmt::format("one of {}", fmt::join(setting.choices, ", "));
    case Form::list:
      if (setting.choices.empty()) return "a list of texts";
      return fmt::format("a list of {}", fmt::join(setting.choices, ", "));
  }
  std::unreachable();
}

std::string render_value(const Setting& setting, const Slot& slot) {
  return std::visit(Render{setting}, slot);
}

std::string quote(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
          out += fmt::format("\\u{:04X}", static_cast<unsigned>(static_cast<unsigned char>(c)));
        } else {
          out.push_back(c);
        }
    }
  }
  return out + "\"";
}

}  // namespace hearth::app
