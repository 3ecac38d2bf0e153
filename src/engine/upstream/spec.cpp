#include "engine/upstream/spec.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "engine/catalogue/model.hpp"
#include "engine/engine_definition.hpp"
#include "engine/upstream/backend.hpp"

namespace hearth::engine {
namespace {

// The names of a definition's members.
namespace member {
constexpr std::string_view base_urls = "base_urls", api_key = "api_key", model = "model",
                           timeout_ms = "timeout_ms";
}  // namespace member

class UpstreamEngine final : public EngineSpec, public RemoteAdapter {
 public:
  explicit UpstreamEngine(UpstreamSpec spec) : spec_(std::move(spec)) {}

  std::string_view kind() const override { return upstream_kind; }

  json::object render() const override {
    json::object out;
    out[member::base_urls] = render_texts(spec_.base_urls);
    out[member::api_key] = spec_.api_key;
    out[member::model] = spec_.model;
    out[member::timeout_ms] = spec_.timeout.count();
    return out;
  }

  bool equals(const EngineSpec& other) const override {
    return spec_ == static_cast<const UpstreamEngine&>(other).spec_;
  }

  std::string place() const override { return fmt::format("{}", fmt::join(spec_.base_urls, " ")); }
  EngineFacts read_facts() const override { return {}; }
  std::string summarize() const override { return fmt::format("upstream {}", place()); }

  std::vector<EngineDetail> describe() const override {
    std::vector<EngineDetail> out;
    for (const std::string& url : spec_.base_urls)
      out.push_back({"base URL", url});
    out.push_back({"model there", spec_.model});
    out.push_back({"key", spec_.api_key.empty() ? "none" : "***"});
    out.push_back({"timeout", spec_.timeout});
    return out;
  }

  Adapter adapter() const override { return static_cast<const RemoteAdapter*>(this); }

  std::unique_ptr<Backend> connect(const Model& model) const override {
    return make_upstream_backend(model, spec_);
  }

 private:
  const UpstreamSpec spec_;
};

}  // namespace

EngineSpecPtr make_upstream_engine(UpstreamSpec spec) {
  return std::make_shared<const UpstreamEngine>(std::move(spec));
}

EngineSpecPtr parse_upstream_engine(const json::object& definition) {
  UpstreamSpec out;
  out.base_urls = read_texts(definition, member::base_urls);
  out.api_key = read_text(definition, member::api_key);
  out.model = read_text(definition, member::model);
  if (const auto timeout = json::find_integer(definition, member::timeout_ms)) {
    out.timeout = std::chrono::milliseconds(*timeout);
  }
  return make_upstream_engine(std::move(out));
}

}  // namespace hearth::engine
