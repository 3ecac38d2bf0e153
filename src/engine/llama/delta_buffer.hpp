// The deltas that one look at the server's answer gives. They keep their memory from one look to the next.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "engine/task/generation.hpp"

namespace hearth::engine::llama {

class DeltaBuffer {
 public:
  // An empty delta at the end.
  Delta& add(std::size_t choice) {
    if (used_ == deltas_.size()) deltas_.emplace_back();
    Delta& delta = deltas_[used_++];
    delta.clear();
    delta.choice = choice;
    return delta;
  }
  void clear() { used_ = 0; }
  bool empty() const { return used_ == 0; }
  // Valid until the next change.
  std::span<const Delta> view() const { return {deltas_.data(), used_}; }

 private:
  std::vector<Delta> deltas_;
  std::size_t used_ = 0;
};

}  // namespace hearth::engine::llama
