#include "base/log.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <stop_token>
#include <thread>
#include <unistd.h>

#include <fmt/format.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>

namespace hearth::log {
namespace {

Format current_format = Format::console;  // set once by configure() before any thread starts

spdlog::level::level_enum to_spdlog(Level level) {
  switch (level) {
    case Level::debug:
      return spdlog::level::debug;
    case Level::info:
      return spdlog::level::info;
    case Level::warn:
      return spdlog::level::warn;
    case Level::error:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

bool is_plain(char c) {
  return static_cast<unsigned char>(c) >= 0x20 && c != '"' && c != '\\';
}

void append_escaped(std::string& out, std::string_view text) {
  if (std::ranges::all_of(text, is_plain)) {
    out.append(text);
    return;
  }
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
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned>(c));
        } else {
          out.push_back(c);
        }
    }
  }
}

struct AppendValue {
  std::string& out;
  bool quote;
  void operator()(std::string_view text) const {
    if (quote) out.push_back('"');
    append_escaped(out, text);
    if (quote) out.push_back('"');
  }
  void operator()(bool value) const { out += value ? "true" : "false"; }
  void operator()(std::int64_t value) const { fmt::format_to(std::back_inserter(out), "{}", value); }
  void operator()(double value) const { fmt::format_to(std::back_inserter(out), "{:.3f}", value); }
};

// Gathers lines for one write() each tenth of a second: a line a request would cost a system call a request.
// Warnings and errors are written at once, and so is everything when the process ends.
class StderrSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  ~StderrSink() override { write_out(); }

 private:
  static constexpr std::size_t enough = 32 * 1024;

  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    lines_.append(line.data(), line.size());
    if (lines_.size() >= enough) write_out();
  }
  void flush_() override { write_out(); }

  void write_out() {
    std::string_view left = lines_;
    while (!left.empty()) {
      const ssize_t written = ::write(STDERR_FILENO, left.data(), left.size());
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) break;  // nobody reads the log: nothing better can be done with it
      left.remove_prefix(static_cast<std::size_t>(written));
    }
    lines_.clear();
  }

  std::string lines_;
};

std::shared_ptr<spdlog::logger> make_logger() {
  auto logger = std::make_shared<spdlog::logger>("hearth", std::make_shared<StderrSink>());
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e %-5l %v");
  logger->flush_on(spdlog::level::warn);
  return logger;
}

// The logger and the thread that flushes it; both end with the process.
struct Log {
  std::shared_ptr<spdlog::logger> logger = make_logger();
  std::mutex mutex;
  std::condition_variable_any wake;
  std::jthread flusher{[this](std::stop_token stop) {
    std::unique_lock lock(mutex);
    while (!stop.stop_requested()) {
      wake.wait_for(lock, stop, std::chrono::milliseconds(100), [] { return false; });
      logger->flush();
    }
  }};
};

spdlog::logger& logger() {
  static Log log;
  return *log.logger;
}

}  // namespace

void configure(Level level, Format format) {
  current_format = format;
  logger().set_level(to_spdlog(level));
  if (format == Format::json) {
    logger().set_formatter(std::make_unique<spdlog::pattern_formatter>(
        "{\"time\":\"%Y-%m-%dT%H:%M:%S.%eZ\",\"level\":\"%l\",%v}", spdlog::pattern_time_type::utc));
  }
}

bool enabled(Level level) {
  return logger().should_log(to_spdlog(level));
}

void write(Level level, std::string_view event, Fields fields) {
  if (!enabled(level)) return;
  const bool json = current_format == Format::json;
  std::string line;
  if (json) {
    line = "\"event\":\"";
    append_escaped(line, event);
    line.push_back('"');
  } else {
    line = event;
  }
  for (const Field& field : fields) {
    if (json) {
      line += ",\"";
      append_escaped(line, field.name);
      line += "\":";
    } else {
      line.push_back(' ');
      line += field.name;
      line.push_back('=');
    }
    std::visit(AppendValue{line, json}, field.value);
  }
  logger().log(to_spdlog(level), line);
}

}  // namespace hearth::log
