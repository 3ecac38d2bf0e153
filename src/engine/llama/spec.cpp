#include "engine/llama/spec.hpp"

#include <algorithm>
#include <filesystem>
#include <stdexcept>

#include <fmt/format.h>

#include "engine/catalogue/model.hpp"
#include "engine/engine_definition.hpp"
#include "engine/llama/backend.hpp"
#include "engine/llama/launch.hpp"
#include "engine/process/child_adapter.hpp"
#include "net/http_client.hpp"

namespace hearth::engine {
namespace {

// The names of a definition's members.
namespace member {
constexpr std::string_view file = "file", projector = "projector", context = "context", slots = "slots",
                           threads = "threads", chat_template = "chat_template", arguments = "arguments";
}  // namespace member

// The estimate may be wrong, and `arguments` may ask for more: what runs away goes far beyond that.
constexpr std::uint64_t spare_memory = 1ULL << 30;

GgufInfo read_file(const LlamaSpec& spec) {
  auto info = read_gguf_info(spec.file);
  if (!info) throw std::runtime_error(info.error());
  return std::move(*info);
}

class LlamaEngine final : public EngineSpec, public ChildAdapter {
 public:
  explicit LlamaEngine(LlamaSpec spec) : spec_(std::move(spec)) {}

  std::string_view kind() const override { return llama_kind; }

  json::object render() const override {
    json::object out;
    out[member::file] = spec_.file;
    out[member::projector] = spec_.projector;
    out[member::context] = spec_.context;
    out[member::slots] = spec_.slots;
    out[member::threads] = spec_.threads;
    out[member::chat_template] = spec_.chat_template;
    out[member::arguments] = render_texts(spec_.arguments);
    return out;
  }

  bool equals(const EngineSpec& other) const override {
    return spec_ == static_cast<const LlamaEngine&>(other).spec_;
  }

  std::string place() const override { return spec_.file; }

  EngineFacts read_facts() const override {
    const GgufInfo info = read_file(spec_);
    return {.capabilities = derive_capabilities(info, spec_),
            .memory_bytes = estimate_memory(info, spec_),
            .context = context_of(info, spec_)};
  }

  std::string summarize() const override {
    const GgufInfo info = read_file(spec_);
    return fmt::format("{}, {} parameters, context {}", info.architecture, info.parameters,
                       context_of(info, spec_));
  }

  std::vector<EngineDetail> describe() const override {
    const GgufInfo info = read_file(spec_);
    const std::string_view chat_template = !spec_.chat_template.empty() ? "its definition's"
                                           : info.chat_template.empty() ? "none"
                                                                        : "the file's";
    return {{"file", spec_.file},
            {"projector", spec_.projector},
            {"slots", fmt::format("{}", spec_.slots)},
            {"threads", spec_.threads == 0 ? "all cores" : fmt::format("{}", spec_.threads)},
            {"architecture", info.architecture},
            {"parameters", fmt::format("{}", info.parameters)},
            {"context", fmt::format("{} of {} trained", context_of(info, spec_), info.trained_context)},
            {"chat template", std::string(chat_template)}};
  }

  Adapter adapter() const override { return static_cast<const ChildAdapter*>(this); }

  LaunchPlan plan(const LaunchOrder& order) const override {
    LlamaLaunch launch{.program = order.program,
                       .socket_path = order.socket_path,
                       .log_file = order.log_file,
                       .spec = spec_,
                       .file = read_file(spec_),
                       .capabilities = order.capabilities};
    if (launch.capabilities.empty()) launch.capabilities = derive_capabilities(launch.file, spec_);
    const std::uint64_t memory = estimate_memory(launch.file, spec_);
    return {.child = make_child_spec(launch),
            .memory_bytes = memory,
            .memory_most = 2 * memory + spare_memory,
            .capabilities = launch.capabilities};
  }

  Task<bool> is_up(const std::string& socket_path) const override {
    return answers_get(socket_path, "/health");
  }

  std::unique_ptr<Backend> connect(const LaunchOrder& order,
                                   const std::set<Capability>& capabilities) const override {
    return make_llama_backend(net::Origin{.scheme = "unix", .host = order.socket_path, .port = 0},
                              order.model, capabilities);
  }

 private:
  const LlamaSpec spec_;
};

}  // namespace

EngineSpecPtr make_llama_engine(LlamaSpec spec) {
  return std::make_shared<const LlamaEngine>(std::move(spec));
}

EngineSpecPtr parse_llama_engine(const json::object& definition) {
  LlamaSpec out;
  out.file = read_text(definition, member::file);
  out.projector = read_text(definition, member::projector);
  out.context = read_count(definition, member::context, out.context);
  out.slots = read_count(definition, member::slots, out.slots);
  out.threads = read_count(definition, member::threads, out.threads);
  out.chat_template = read_text(definition, member::chat_template);
  out.arguments = read_texts(definition, member::arguments);
  return make_llama_engine(std::move(out));
}

std::set<Capability> derive_capabilities(const GgufInfo& info, const LlamaSpec& spec) {
  if (info.is_encoder()) return {Capability::embedding};
  std::set<Capability> can{Capability::completion};
  const bool own_template = !spec.chat_template.empty();
  if (own_template || !info.chat_template.empty()) {
    can.insert(Capability::chat);
    if (own_template ? spec.chat_template.find("tools") != std::string::npos : info.knows_tools())
      can.insert(Capability::tools);
    if (!spec.projector.empty()) can.insert(Capability::vision);
  }
  if (info.fill_in_middle) can.insert(Capability::infill);
  if (!info.pooling.empty() && info.pooling != "none" && info.pooling != "rank")
    can.insert(Capability::embedding);
  return can;
}

std::uint32_t context_of(const GgufInfo& info, const LlamaSpec& spec) {
  constexpr std::uint32_t fallback = 4096;
  if (spec.context > 0) return spec.context;
  return info.trained_context > 0 ? info.trained_context : fallback;
}

std::uint64_t estimate_memory(const GgufInfo& info, const LlamaSpec& spec) {
  constexpr double work_space = 48.0 * 1024 * 1024;
  constexpr double batch = 512;
  std::error_code error;
  const auto projector = spec.projector.empty() ? 0 : std::filesystem::file_size(spec.projector, error);
  const double tokens = static_cast<double>(context_of(info, spec)) * std::max(1U, spec.slots);
  const double caches = tokens * static_cast<double>(info.cache_bytes_per_token);
  const double logits = batch * sizeof(float) * info.vocabulary;
  const double total = static_cast<double>(info.file_bytes) + (error ? 0 : static_cast<double>(projector)) +
                       caches + logits + work_space;
  constexpr double most = 1e18;  // fits the integer; no machine has it
  return static_cast<std::uint64_t>(std::min(total, most));
}

}  // namespace hearth::engine
