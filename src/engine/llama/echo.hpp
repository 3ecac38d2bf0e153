// What an echoed prompt needs from the server before the text is generated.
#pragma once

#include "engine/llama/streams.hpp"

namespace hearth::engine::llama {

// Fills in the job's echoes and, where nothing will be generated, the sizes of its prompts. For log
// probabilities of the prompt it asks for one token at a time; the server's prompt cache makes each cost one
// step.
Task<void> prepare(CompletionJob& job);

}  // namespace hearth::engine::llama
