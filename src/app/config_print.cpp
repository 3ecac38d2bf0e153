#include "app/config_print.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "app/settings.hpp"

namespace hearth::app {
namespace {

constexpr std::string_view reference_introduction = R"(# Configuration

<!-- Written by `hearth config --markdown` from src/app/settings.cpp. -->

A setting comes from, in rising precedence: the TOML file, the environment, the flags.

- **File**: `--config FILE`, else `$HEARTH_CONFIG`, else `hearth.toml` in the data directory where that exists.
  `server.idle_time` is the key `idle_time` of the table `[server]`. Relative paths count from the file's directory.
- **Environment**: `HEARTH_` and the name in capitals with `_` for `.`: `HEARTH_SERVER_IDLE_TIME=30s`. Lists are
  separated by commas. Relative paths count from the working directory.
- **Flags**: `--set server.idle_time=30s` for any setting, written as in the environment; short forms are `--data`,
  `--listen`, `--bootstrap` and `--log-format`. `--set models.NAME.KEY=VALUE` and `--set aliases.NAME=TARGET` work too.

Durations are a whole number with `ms`, `s`, `m`, `h` or `d`; sizes one with `B`, `KiB`, `MiB`, `GiB` or `TiB`.
`hearth config` prints what holds and where each value came from. A wrong key or value ends the program with exit
code 2 and one line that says what would be right.

```toml
default_model = "assistant"

[server]
listen = ["127.0.0.1:8080", "unix:/run/hearth.sock"]

[models."assistant"]
file = "models/assistant-q4.gguf"
slots = 8

[models."big"]
base_urls = ["http://gpu-1:8000/v1", "http://gpu-2:8000/v1"]
api_key_env = "BIG_KEY"

[aliases]
"gpt-4o" = "assistant"
```
)";

std::string_view form_name(Form form) {
  switch (form) {
    case Form::boolean:
      return "boolean";
    case Form::integer:
      return "integer";
    case Form::size:
      return "size";
    case Form::duration:
      return "duration";
    case Form::decimal:
      return "number";
    case Form::text:
      return "text";
    case Form::secret:
      return "secret";
    case Form::path:
      return "path";
    case Form::choice:
      return "choice";
    case Form::list:
      return "list";
  }
  std::unreachable();
}

// "a duration such as "30s" from 1ms to 7d" → "1ms to 7d": the form has a column of its own.
std::string range_of(const Setting& setting) {
  std::string text;
  for (std::string_view choice : setting.choices)
    text += fmt::format("{}`{}`", text.empty() ? "" : " ", choice);
  const std::string form = expected_form(setting);
  if (const std::size_t from = form.find(" from "); from != std::string::npos) text += form.substr(from + 6);
  return text;
}

template <class Owner>
void append_rows(std::string& out, std::span<const SettingOf<Owner>> rows) {
  out += "| setting | form | range | default | meaning |\n|---|---|---|---|---|\n";
  Owner defaults;
  for (const SettingOf<Owner>& setting : rows) {
    const std::string value = setting.shown_default.empty()
                                  ? fmt::format("`{}`", render_value(setting, setting.slot(defaults)))
                                  : std::string(setting.shown_default);
    fmt::format_to(std::back_inserter(out), "| `{}` | {} | {} | {} | {} |\n", setting.name,
                   form_name(setting.form), range_of(setting), value, setting.doc);
  }
}

struct Line {
  std::string text;
  std::string origin;
};

class Printer {
 public:
  explicit Printer(const LoadedConfig& loaded) : loaded_(loaded) {}

  std::string print() {
    Config config = loaded_.config;  // slots point into something that may be written
    for (const auto& setting : settings())
      add(std::string(setting.name), render_value(setting, setting.slot(config)));
    for (auto& [name, model] : config.models) {
      // What was read from elsewhere is shown as the reference that was written.
      if (!model.api_key_env.empty()) model.api_key.clear();
      if (!model.chat_template_file.empty()) model.chat_template.clear();
      ModelConfig defaults;
      for (const auto& setting : model_settings()) {
        const std::string value = render_value(setting, setting.slot(model));
        const std::string full_name = model_setting_name(name, setting.name);
        const bool is_default = value == render_value(setting, setting.slot(defaults));
        if (!is_default || loaded_.origins.contains(full_name)) add(full_name, value);
      }
    }
    for (const auto& [name, target] : config.aliases)
      add(alias_setting_name(name), quote(target));
    return layout();
  }

 private:
  void add(const std::string& name, const std::string& value) {
    const auto origin = loaded_.origins.find(name);
    lines_.push_back(
        {fmt::format("{} = {}", name, value), origin == loaded_.origins.end() ? "default" : origin->second});
  }

  std::string layout() const {
    std::size_t width = 0;
    for (const Line& line : lines_)
      width = std::max(width, std::min<std::size_t>(line.text.size(), 60));
    std::string out;
    for (const Line& line : lines_)
      fmt::format_to(std::back_inserter(out), "{:<{}}  # {}\n", line.text, width, line.origin);
    return out;
  }

  const LoadedConfig& loaded_;
  std::vector<Line> lines_;
};

}  // namespace

std::string render_config(const LoadedConfig& loaded) {
  return Printer(loaded).print();
}

std::string render_config_reference() {
  std::string out(reference_introduction);
  out += "\n## Server\n\n";
  append_rows(out, settings());
  out +=
      "\n## Models\n\nEach `[models.\"NAME\"]` is a model, with either `file` or `base_urls`. Models can "
      "also be\n"
      "registered while the server runs: `hearth models add`, `hearth models pull`.\n\n";
  append_rows(out, model_settings());
  out +=
      "\n## Aliases\n\n`[aliases]` holds `\"NAME\" = \"TARGET\"`: a request for NAME is answered by TARGET, "
      "a model or "
      "another alias.\n";
  return out;
}

}  // namespace hearth::app
