#include "engine/llama/spec.hpp"

#include <cstdlib>
#include <gmock/gmock.h>

#include <gtest/gtest.h>

namespace hearth::engine {
namespace {

using testing::UnorderedElementsAre;

GgufInfo speaking_file() {
  return {.architecture = "llama",
          .file_bytes = 1 << 20,
          .trained_context = 2048,
          .vocabulary = 4,
          .cache_bytes_per_token = 256,
          .chat_template = "{% for tool in tools %}{% endfor %}",
          .pooling = "",
          .fill_in_middle = true};
}

TEST(LlamaSpec, TheFileSaysWhatTheModelCanDo) {
  const GgufInfo info = speaking_file();
  EXPECT_THAT(derive_capabilities(info, {}), UnorderedElementsAre(Capability::chat, Capability::completion,
                                                                  Capability::tools, Capability::infill));
  EXPECT_THAT(derive_capabilities(info, {.chat_template = "{{ messages }}"}),
              UnorderedElementsAre(Capability::chat, Capability::completion, Capability::infill));
  EXPECT_THAT(derive_capabilities({.architecture = "nomic-bert", .chat_template = "", .pooling = "mean"}, {}),
              UnorderedElementsAre(Capability::embedding));
}

TEST(LlamaSpec, MemoryGrowsWithTheTokensOfAllSlots) {
  const GgufInfo info = speaking_file();
  EXPECT_EQ(context_of(info, {}), 2048u);
  EXPECT_EQ(context_of(info, {.context = 100}), 100u);
  EXPECT_GT(estimate_memory(info, {.slots = 8}), estimate_memory(info, {.slots = 1}));
  GgufInfo absurd = info;
  absurd.cache_bytes_per_token = ~std::uint64_t{0};
  EXPECT_LE(estimate_memory(absurd, {.context = ~0U, .slots = ~0U}), 1'000'000'000'000'000'000u);
}

TEST(LlamaSpec, ItsDefinitionSurvivesTheStore) {
  const auto spec = make_llama_engine({.file = "/m.gguf",
                                       .projector = "/p.gguf",
                                       .context = 512,
                                       .slots = 3,
                                       .threads = 2,
                                       .chat_template = "{{ x }}",
                                       .arguments = {"--flag", "1"}});
  const auto back = parse_llama_engine(spec->render());
  EXPECT_TRUE(same_engine(*spec, *back));
  EXPECT_FALSE(same_engine(*spec, *make_llama_engine({.file = "/m.gguf"})));
  EXPECT_EQ(spec->place(), "/m.gguf");
}

TEST(LlamaSpec, AFileThatIsGoneIsNamed) {
  const auto spec = make_llama_engine({.file = "/nowhere/m.gguf"});
  for (const auto& act : std::vector<std::function<void()>>{
           [&] { spec->read_facts(); }, [&] { spec->summarize(); }, [&] { spec->describe(); }}) {
    try {
      act();
      ADD_FAILURE() << "nothing was thrown";
    } catch (const std::runtime_error& error) {
      EXPECT_THAT(error.what(), testing::HasSubstr("/nowhere/m.gguf"));
    }
  }
}

TEST(LlamaSpec, TheTinyModelSpeaks) {
  const char* tiny = std::getenv("HEARTH_TINY_MODEL");
  if (!tiny) GTEST_SKIP() << "HEARTH_TINY_MODEL is not set";
  const EngineFacts facts = make_llama_engine({.file = tiny})->read_facts();
  EXPECT_THAT(facts.capabilities, testing::IsSupersetOf({Capability::chat, Capability::completion}));
  EXPECT_GT(facts.context, 0u);
  EXPECT_GT(facts.memory_bytes, 0u);
}

}  // namespace
}  // namespace hearth::engine
