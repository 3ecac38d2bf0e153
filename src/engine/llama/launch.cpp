#include "engine/llama/launch.hpp"

#include <algorithm>
#include <thread>

namespace hearth::engine {
namespace {

// A pooled embedding reads its whole input in one batch.
constexpr std::uint32_t most_batch = 8192;

std::uint32_t threads_of(const LlamaSpec& spec) {
  const std::uint32_t cores = std::max(1U, std::thread::hardware_concurrency());
  return spec.threads == 0 ? cores : std::min(spec.threads, cores);
}

// Threads wait for each other after every layer's step: of a small model's token that is the longest part.
constexpr std::uint64_t small_model_bytes = 64ULL << 20;

std::uint32_t generating_threads_of(const LlamaLaunch& launch) {
  const bool small = launch.file.file_bytes < small_model_bytes;
  return small && launch.spec.threads == 0 ? 1 : threads_of(launch.spec);
}

}  // namespace

ChildSpec make_child_spec(const LlamaLaunch& launch) {
  const LlamaSpec& spec = launch.spec;
  const std::string threads = std::to_string(threads_of(spec));
  const std::uint32_t slots = std::max(1U, spec.slots);
  const std::uint32_t context = context_of(launch.file, spec);
  std::vector<std::string> arguments{
      "--model", spec.file, "--host", launch.socket_path, "--parallel", std::to_string(slots), "--ctx-size",
      std::to_string(std::uint64_t{context} * slots), "--threads",
      std::to_string(generating_threads_of(launch)), "--threads-batch", threads,
      // Requests beyond the slots wait inside; short questions (tokenize, health) must still get through.
      "--threads-http", std::to_string(slots * 4 + 32), "--no-webui", "--jinja", "--offline", "--log-colors",
      "off", "--log-verbosity", "2",
      // The cache of prompts outside the slots is not part of the memory that the model is allowed.
      "--cache-ram", "0"};
  const auto add = [&](std::initializer_list<std::string> more) { arguments.insert(arguments.end(), more); };
  if (launch.capabilities.contains(Capability::embedding)) {
    add({"--embeddings"});
    if (launch.file.pooling.empty() || launch.file.pooling == "none") add({"--pooling", "mean"});
    const std::string batch = std::to_string(std::clamp(context, 512U, most_batch));
    add({"--batch-size", batch, "--ubatch-size", batch});
  }
  if (spec.projector.empty()) {
    add({"--no-mmproj"});
  } else {
    add({"--mmproj", spec.projector});
  }
  if (!spec.chat_template.empty()) add({"--chat-template", spec.chat_template});
  arguments.insert(arguments.end(), spec.arguments.begin(), spec.arguments.end());
  return ChildSpec{.program = launch.program,
                   .arguments = std::move(arguments),
                   // Spinning threads of several engines, or of more threads than cores, slow each other down
                   // many times over.
                   .environment = {{"OMP_WAIT_POLICY", "passive"}, {"OMP_NUM_THREADS", threads}},
                   // Secrets, which it needs none of, and what would change its flags behind our back.
                   .withheld = {"HEARTH_", "OPENAI_", "AZURE_", "ANTHROPIC_", "AWS_", "GOOGLE_", "HF_",
                                "HUGGING", "GITHUB_", "LLAMA_"},
                   .log_file = launch.log_file};
}

}  // namespace hearth::engine
