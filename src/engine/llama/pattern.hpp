// Which regular expressions llama-server's grammars really enforce.
#pragma once

#include <optional>
#include <string_view>

namespace hearth::engine::llama {

// Why a grammar made from `pattern` would let through other texts than the pattern does, or texts that are
// not JSON; nullopt when it keeps to the pattern. Called for each `pattern` of a schema. Thread: any.
std::optional<std::string_view> why_not_enforced(std::string_view pattern);

}  // namespace hearth::engine::llama
