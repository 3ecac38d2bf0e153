// Texts into the probabilities of labels, as moderation needs them.
#pragma once

#include <string>
#include <vector>

#include "async/task.hpp"

namespace hearth::engine {

class CallContext;

struct ClassificationRequest {
  std::vector<std::string> texts;
};

struct LabelScore {
  std::string label;  // in the words of the engine's model
  double score = 0;   // from 0 to 1; the labels of one text need not add up to 1
};

// By text, in the order of the request; all labels of the model for each.
struct Classification {
  std::vector<std::vector<LabelScore>> texts;
};

class ClassificationEngine {
 public:
  virtual ~ClassificationEngine() = default;
  virtual Task<Classification> classify(ClassificationRequest request, CallContext& call) = 0;
};

}  // namespace hearth::engine
