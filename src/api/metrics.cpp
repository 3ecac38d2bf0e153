#include "api/metrics.hpp"

#include <algorithm>
#include <iterator>

#include <fmt/format.h>

namespace hearth::api {
namespace {

template <class... Args>
void line(std::string& out, fmt::format_string<Args...> format, Args&&... args) {
  fmt::format_to(std::back_inserter(out), format, std::forward<Args>(args)...);
  out.push_back('\n');
}

void header(std::string& out, std::string_view name, std::string_view type, std::string_view text) {
  line(out, "# HELP {} {}", name, text);
  line(out, "# TYPE {} {}", name, type);
}

// A label's value: backslash, quote and line feed are escaped.
std::string label(std::string_view value) {
  std::string out;
  for (char c : value) {
    if (c == '\\' || c == '"') out.push_back('\\');
    if (c == '\n') {
      out += "\\n";
    } else {
      out.push_back(c);
    }
  }
  return out;
}

void render_jobs(std::string& out, const JobMetrics& jobs) {
  header(out, "hearth_jobs", "gauge", "Jobs that have not ended, by kind and state; scheduled: not yet due.");
  for (const jobs::KindStatistics& kind : jobs.kinds) {
    line(out, "hearth_jobs{{kind=\"{}\",state=\"waiting\"}} {}", label(kind.kind), kind.waiting);
    line(out, "hearth_jobs{{kind=\"{}\",state=\"scheduled\"}} {}", label(kind.kind), kind.scheduled);
    line(out, "hearth_jobs{{kind=\"{}\",state=\"running\"}} {}", label(kind.kind), kind.running);
  }
  header(out, "hearth_jobs_oldest_seconds", "gauge", "How long the oldest due job of the kind has waited.");
  for (const jobs::KindStatistics& kind : jobs.kinds) {
    const auto waited = kind.waiting == 0 ? 0.0 : static_cast<double>(jobs.now - kind.oldest) / 1e3;
    line(out, "hearth_jobs_oldest_seconds{{kind=\"{}\"}} {}", label(kind.kind), std::max(waited, 0.0));
  }
  header(out, "hearth_job_attempts_total", "counter",
         "Attempts that ended in this process, by kind and outcome.");
  for (const auto& [kind, counts] : jobs.counts) {
    const std::array<std::pair<std::string_view, std::uint64_t>, 6> outcomes{{{"succeeded", counts.succeeded},
                                                                              {"failed", counts.failed},
                                                                              {"retried", counts.retried},
                                                                              {"cancelled", counts.cancelled},
                                                                              {"released", counts.released},
                                                                              {"lost", counts.lost}}};
    for (const auto& [outcome, count] : outcomes)
      line(out, "hearth_job_attempts_total{{kind=\"{}\",outcome=\"{}\"}} {}", label(kind), outcome, count);
  }
}

}  // namespace

Metrics::Metrics(std::span<const contract::Operation> operations)
    : operations_(operations), series_(operations.size() + 1) {}

void Metrics::finished(const contract::Operation* operation, int status, std::chrono::nanoseconds duration) {
  Series& series = operation ? series_[static_cast<std::size_t>(operation->id)] : series_.back();
  const int status_class = status >= 100 && status < 600 ? status / 100 : 0;
  series.by_class[static_cast<std::size_t>(status_class)].fetch_add(1, std::memory_order_relaxed);
  const double seconds = std::chrono::duration<double>(duration).count();
  std::size_t bucket = 0;
  while (bucket < bounds.size() && seconds > bounds[bucket])
    ++bucket;
  series.buckets[bucket].fetch_add(1, std::memory_order_relaxed);
  series.nanoseconds.fetch_add(static_cast<std::uint64_t>(duration.count()), std::memory_order_relaxed);
}

std::string Metrics::render(const net::ServerStatistics& server,
                            const std::vector<engine::EngineStatus>& engines, const Tokens& tokens,
                            const JobMetrics& jobs) const {
  std::string out;
  header(out, "hearth_requests_total", "counter", "Requests by operation and class of status.");
  const auto name_of = [this](std::size_t i) {
    return i + 1 < series_.size() ? operations_[i].name : std::string_view("none");
  };
  for (std::size_t i = 0; i < series_.size(); ++i) {
    for (std::size_t c = 0; c < series_[i].by_class.size(); ++c) {
      const auto count = series_[i].by_class[c].load(std::memory_order_relaxed);
      if (count) {
        line(out, "hearth_requests_total{{operation=\"{}\",status=\"{}xx\"}} {}", name_of(i), c, count);
      }
    }
  }
  header(out, "hearth_request_seconds", "histogram",
         "Time from a request's header to its reply's last byte.");
  for (std::size_t i = 0; i < series_.size(); ++i) {
    std::uint64_t total = 0;
    for (const auto& bucket : series_[i].buckets)
      total += bucket.load(std::memory_order_relaxed);
    if (!total) continue;
    std::uint64_t sum = 0;
    for (std::size_t b = 0; b < bounds.size(); ++b) {
      sum += series_[i].buckets[b].load(std::memory_order_relaxed);
      line(out, "hearth_request_seconds_bucket{{operation=\"{}\",le=\"{}\"}} {}", name_of(i), bounds[b], sum);
    }
    line(out, "hearth_request_seconds_bucket{{operation=\"{}\",le=\"+Inf\"}} {}", name_of(i), total);
    line(out, "hearth_request_seconds_sum{{operation=\"{}\"}} {}", name_of(i),
         static_cast<double>(series_[i].nanoseconds.load(std::memory_order_relaxed)) / 1e9);
    line(out, "hearth_request_seconds_count{{operation=\"{}\"}} {}", name_of(i), total);
  }
  header(out, "hearth_tokens_total", "counter", "Tokens by model and direction.");
  for (const auto& [model, used] : tokens) {
    line(out, "hearth_tokens_total{{model=\"{}\",direction=\"prompt\"}} {}", label(model), used.input);
    line(out, "hearth_tokens_total{{model=\"{}\",direction=\"completion\"}} {}", label(model), used.output);
  }
  header(out, "hearth_connections", "gauge", "Open client connections.");
  line(out, "hearth_connections {}", server.open_connections);
  header(out, "hearth_connections_total", "counter", "Client connections by what became of them.");
  line(out, "hearth_connections_total{{outcome=\"accepted\"}} {}", server.accepted);
  line(out, "hearth_connections_total{{outcome=\"refused\"}} {}", server.refused);
  line(out, "hearth_connections_total{{outcome=\"timed_out\"}} {}", server.timed_out);
  header(out, "hearth_engine_ready", "gauge", "1 while the model's engine is loaded and answers.");
  for (const auto& engine : engines) {
    line(out, "hearth_engine_ready{{model=\"{}\"}} {}", label(engine.model), engine.state == "ready" ? 1 : 0);
  }
  header(out, "hearth_engine_requests", "gauge", "Requests that hold the model's engine.");
  for (const auto& engine : engines) {
    line(out, "hearth_engine_requests{{model=\"{}\"}} {}", label(engine.model), engine.leases);
  }
  header(out, "hearth_engine_restarts_total", "counter",
         "How often the model's engine was restarted after a crash.");
  for (const auto& engine : engines) {
    line(out, "hearth_engine_restarts_total{{model=\"{}\"}} {}", label(engine.model), engine.restarts);
  }
  header(out, "hearth_engine_memory_bytes", "gauge", "Memory counted against the engines' budget.");
  for (const auto& engine : engines) {
    line(out, "hearth_engine_memory_bytes{{model=\"{}\"}} {}", label(engine.model), engine.memory_bytes);
  }
  render_jobs(out, jobs);
  return out;
}

}  // namespace hearth::api
