// How a model is computed, in the words of the one adapter that understands them.
//
// The catalogue, the store and the configuration carry specs about without looking into them;
// parse_engine_spec() of engine_kinds.hpp makes them. A new kind of engine is a folder with a spec of its
// own.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "engine/capability.hpp"
#include "json/json.hpp"

namespace hearth::engine {

class Backend;
class ChildAdapter;
struct Model;

// What the files of an engine say about the model in them; empty and 0 where there is nothing to read.
struct EngineFacts {
  std::set<Capability> capabilities;
  std::uint64_t memory_bytes = 0;  // what a loaded engine takes
  std::uint32_t context = 0;       // tokens that one request may use
};

// A line about an engine, for people.
struct EngineDetail {
  std::string_view name;
  std::variant<std::string, std::chrono::milliseconds> value;
};

// An engine that runs elsewhere: nothing is started here.
class RemoteAdapter {
 public:
  virtual ~RemoteAdapter() = default;
  // Throws std::runtime_error when the definition cannot be understood.
  virtual std::unique_ptr<Backend> connect(const Model& model) const = 0;
};

// Immutable. Thread: any.
class EngineSpec {
 public:
  virtual ~EngineSpec() = default;
  virtual std::string_view kind() const = 0;  // "llama", "upstream"
  // The members of its definition, as the store keeps them.
  virtual json::object render() const = 0;
  // `other` is of the same kind.
  virtual bool equals(const EngineSpec& other) const = 0;
  // Its file, or its addresses.
  virtual std::string place() const = 0;
  // What its definition leaves to its files. The three block on the disk; the error is a std::runtime_error
  // with a sentence that names the file.
  virtual EngineFacts read_facts() const = 0;
  virtual std::string summarize() const = 0;
  virtual std::vector<EngineDetail> describe() const = 0;

  // What runs it: a child of this process, or a server elsewhere. Part of this object.
  using Adapter = std::variant<const ChildAdapter*, const RemoteAdapter*>;
  virtual Adapter adapter() const = 0;
};

// Shared: models are copied between snapshots of the catalogue, and engines keep theirs.
using EngineSpecPtr = std::shared_ptr<const EngineSpec>;

inline bool same_engine(const EngineSpec& a, const EngineSpec& b) {
  return &a == &b || (a.kind() == b.kind() && a.equals(b));
}

// The child that computes the model, null when it runs elsewhere.
inline const ChildAdapter* find_child_adapter(const EngineSpec& spec) {
  const auto adapter = spec.adapter();
  const auto* child = std::get_if<const ChildAdapter*>(&adapter);
  return child ? *child : nullptr;
}

}  // namespace hearth::engine
