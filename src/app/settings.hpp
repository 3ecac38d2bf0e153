// The table of settings: name, form, range, meaning and place in Config of each.
//
// The one table behind the TOML file, the environment variables, the flags, what `hearth config` prints and
// docs/CONFIG.md. One more setting = one member in config.hpp and one row in settings.cpp.
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "app/config.hpp"

namespace hearth::app {

// `secret` is a text that is never printed; a `decimal` may be absent; `path` is made absolute.
enum class Form { boolean, integer, size, duration, text, secret, path, choice, list, decimal };

// The place of a value in Config.
using Slot = std::variant<bool*, std::uint32_t*, std::uint64_t*, std::chrono::milliseconds*, std::string*,
                          std::vector<std::string>*, log::Level*, log::Format*, domain::LedgerFailure*,
                          std::optional<double>*>;

// Bounds of a value; those of durations are in milliseconds.
struct Bounds {
  std::uint64_t min = 0;
  std::uint64_t max = std::numeric_limits<std::uint64_t>::max();
};

struct Setting {
  std::string_view name;  // "server.idle_time"; of a model's settings the last part alone
  Form form;
  std::string_view doc;
  Bounds bounds{};
  std::span<const std::string_view> choices{};  // of a choice, or of a list's items
  // What the default is called where the struct's own value does not say it ("DATA/hearth.db").
  std::string_view shown_default{};
};

template <class Owner>
struct SettingOf : Setting {
  Slot (*slot)(Owner&);
};

std::span<const SettingOf<Config>> settings();
std::span<const SettingOf<ModelConfig>> model_settings();

const SettingOf<Config>* find_setting(std::string_view name);
const SettingOf<ModelConfig>* find_model_setting(std::string_view name);

// HEARTH_ and the name in capitals, dots as underscores: server.idle_time → HEARTH_SERVER_IDLE_TIME.
std::string environment_name(std::string_view setting);

// A value without a type of its own: an environment variable or a flag. Lists are split at commas.
struct Untyped {
  std::string text;
};
// A value of a kind that no setting has: a table, a date. Holds its name.
struct Foreign {
  std::string kind;
};
// A value as a source wrote it.
using Written =
    std::variant<Untyped, bool, std::int64_t, double, std::string, std::vector<std::string>, Foreign>;

// Puts `value` into `slot`; relative paths count from `base`. On failure the slot is untouched and the text
// says what was expected and what was found: `expected a duration such as "30s", not "soon"`.
std::expected<void, std::string> assign(const Setting& setting, const Slot& slot, const Written& value,
                                        std::string_view base);

// `a duration such as "30s", "500ms" or "5m"`.
std::string expected_form(const Setting& setting);

// As a TOML value; a secret that is set becomes "***".
std::string render_value(const Setting& setting, const Slot& slot);

// `text` as a TOML string.
std::string quote(std::string_view text);

}  // namespace hearth::app
