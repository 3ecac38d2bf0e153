// The text that a person at a terminal sees when the server has started for the first time.
#pragma once

#include <string>

#include "app/bootstrap_file.hpp"

namespace hearth::app {

// What the default model can be asked.
enum class Subject {
  any,
  hearth,  // the model that comes with the program knows nothing else
};

// The base URL, the keys (never shown again), and a request in curl, Python and Node to paste. Without
// authentication `facts.api_key` is empty and the snippets carry a placeholder. Ends with a newline; meant
// for standard output.
std::string render_welcome(const BootstrapFacts& facts, Subject subject);

}  // namespace hearth::app
