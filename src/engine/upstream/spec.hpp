// A model that another server computes: any server that speaks the OpenAI API.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "engine/engine_spec.hpp"

namespace hearth::engine {

inline constexpr std::string_view upstream_kind = "upstream";

struct UpstreamSpec {
  std::vector<std::string> base_urls;          // replicas, each with its /v1
  std::string api_key;                         // secret; empty = none sent
  std::string model;                           // its name there; empty = the same as here
  std::chrono::milliseconds timeout{600'000};  // for a plain reply, and for the header of a streamed one

  bool operator==(const UpstreamSpec&) const = default;
};

EngineSpecPtr make_upstream_engine(UpstreamSpec spec);
EngineSpecPtr parse_upstream_engine(const json::object& definition);

}  // namespace hearth::engine
