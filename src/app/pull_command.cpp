#include "app/pull_command.hpp"

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <stdexcept>
#include <unistd.h>

#include <fmt/format.h>

#include "async/runtime.hpp"
#include "engine/catalogue/gguf_info.hpp"
#include "engine/catalogue/model_pull.hpp"

namespace hearth::app {
namespace {

constexpr std::uint64_t mib = 1 << 20;

// On a terminal one line that moves, elsewhere one for each tenth.
class ProgressLine {
 public:
  explicit ProgressLine(std::string name) : name_(std::move(name)) {}
  ~ProgressLine() {
    if (open_) std::fputs("\n", stderr);
  }
  ProgressLine(const ProgressLine&) = delete;

  void show(const engine::PullProgress& progress) {
    const std::uint64_t tenth = progress.total == 0 ? 0 : progress.received * 10 / progress.total;
    const auto now = std::chrono::steady_clock::now();
    const bool done = progress.received == progress.total;
    if (is_terminal_ ? !done && now - shown_ < std::chrono::milliseconds(200) : tenth == tenth_) return;
    shown_ = now;
    tenth_ = tenth;
    open_ = is_terminal_;
    const std::string total =
        progress.total == 0 ? "?" : fmt::format("{:.1f}", static_cast<double>(progress.total) / mib);
    fmt::print(stderr, "{}{}: {:.1f} of {} MiB{}{}", is_terminal_ ? "\r" : "", name_,
               static_cast<double>(progress.received) / mib, total, progress.resumed ? ", resumed" : "",
               is_terminal_ ? "\033[K" : "\n");
  }

 private:
  std::string name_;
  bool is_terminal_ = ::isatty(STDERR_FILENO) == 1;
  bool open_ = false;
  std::uint64_t tenth_ = 0;
  std::chrono::steady_clock::time_point shown_{};
};

engine::PulledFile fetch(engine::PullSource source, engine::PullSettings settings) {
  async::Runtime runtime(1);
  ProgressLine line(std::filesystem::path(source.file).filename().string());
  std::optional<engine::PulledFile> pulled;
  runtime.run_until_complete([](auto from, auto how, auto& shown, auto& result) -> Task<void> {
    result =
        co_await engine::pull_model(std::move(from), std::move(how),
                                    [&shown](const engine::PullProgress& progress) { shown.show(progress); });
  }(std::move(source), std::move(settings), line, pulled));
  return std::move(*pulled);
}

}  // namespace

void pull_model(const ConfigSources& sources, PullRequest request) {
  const Config config = load_config(sources).config;
  const auto source = engine::PullSource::parse(request.source);
  if (!source) throw ConfigError(fmt::format("models pull: {}", source.error()));
  if (request.name.empty()) request.name = std::filesystem::path(source->file).stem().string();
  check_addable(config, request.name, request.on_conflict);

  const engine::PulledFile file = fetch(*source, {.cache = config.pull.cache,
                                                  .endpoint = config.pull.endpoint,
                                                  .token = config.pull.token,
                                                  .sha256 = request.sha256});
  if (const auto info = engine::read_gguf_info(file.path.string()); !info) {
    std::filesystem::remove(file.path);
    throw std::runtime_error(
        fmt::format("the fetched file is not a model and was deleted: {}", info.error()));
  }
  fmt::print("{} {} ({} bytes, sha256 {})\n", file.was_there ? "found" : "fetched", file.path.string(),
             file.bytes, file.sha256);
  request.settings["file"] = file.path.string();
  add_model(sources, request.name, request.settings, request.on_conflict);
}

}  // namespace hearth::app
