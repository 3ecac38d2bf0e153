#include "engine/backend.hpp"

namespace hearth::engine {
namespace {

bool has_task(Backend& backend, Capability capability) {
  switch (capability) {
    case Capability::chat:
    case Capability::vision:
    case Capability::tools:
      return backend.chat() != nullptr;
    case Capability::completion:
    case Capability::infill:
      return backend.completion() != nullptr;
    case Capability::embedding:
      return backend.embedding() != nullptr;
    case Capability::transcription:
      return backend.transcription() != nullptr;
    case Capability::speech:
      return backend.speech() != nullptr;
    case Capability::image:
      return backend.image() != nullptr;
    case Capability::classification:
      return backend.classification() != nullptr;
  }
  return false;
}

}  // namespace

std::optional<Capability> find_missing_task(Backend& backend, const std::set<Capability>& capabilities) {
  for (const Capability capability : capabilities) {
    if (!has_task(backend, capability)) return capability;
  }
  return std::nullopt;
}

}  // namespace hearth::engine
