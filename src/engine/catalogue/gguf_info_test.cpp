#include "engine/catalogue/gguf_info.hpp"

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <random>
#include <unistd.h>

#include <gtest/gtest.h>

namespace hearth::engine {
namespace {

using testing::HasSubstr;
using testing::UnorderedElementsAre;

// Writes the format by hand, also where it lies.
class Writer {
 public:
  template <class T>
  Writer& raw(T value) {
    const auto at = bytes.size();
    bytes.resize(at + sizeof value);
    std::memcpy(bytes.data() + at, &value, sizeof value);
    return *this;
  }
  Writer& text(std::string_view value) {
    raw<std::uint64_t>(value.size());
    bytes += value;
    return *this;
  }
  Writer& head(std::uint64_t tensors, std::uint64_t pairs, std::uint32_t version = 3) {
    bytes += "GGUF";
    return raw(version).raw(tensors).raw(pairs);
  }
  Writer& string_pair(std::string_view key, std::string_view value) {
    return text(key).raw<std::uint32_t>(8).text(value);
  }
  Writer& number_pair(std::string_view key, std::uint32_t value) {
    return text(key).raw<std::uint32_t>(4).raw(value);
  }
  Writer& tokens(std::vector<std::string> words) {
    text("tokenizer.ggml.tokens")
        .raw<std::uint32_t>(9)
        .raw<std::uint32_t>(8)
        .raw<std::uint64_t>(words.size());
    for (const auto& word : words)
      text(word);
    return *this;
  }
  Writer& tensor(std::string_view name, std::vector<std::uint64_t> dimensions) {
    text(name).raw<std::uint32_t>(static_cast<std::uint32_t>(dimensions.size()));
    for (const auto each : dimensions)
      raw(each);
    return raw<std::uint32_t>(0).raw<std::uint64_t>(0);
  }
  std::string bytes;
};

Writer whole_file() {
  Writer file;
  file.head(2, 9)
      .string_pair("general.architecture", "llama")
      .string_pair("general.name", "A small one")
      .number_pair("llama.context_length", 2048)
      .number_pair("llama.embedding_length", 64)
      .number_pair("llama.block_count", 2)
      .number_pair("llama.attention.head_count", 8)
      .number_pair("llama.attention.head_count_kv", 4)
      .string_pair("tokenizer.chat_template", "{% for tool in tools %}{% endfor %}")
      .tokens({"a", "<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"})
      .tensor("token_embd.weight", {64, 4})
      .tensor("output.weight", {64, 4});
  return file;
}

class GgufInfoTest : public testing::Test {
 protected:
  void SetUp() override {
    char pattern[] = "/tmp/hearth-gguf-XXXXXX";
    folder_ = ::mkdtemp(pattern);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::expected<GgufInfo, std::string> read(std::string_view bytes) {
    const std::string path = folder_ + "/model.gguf";
    std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    return read_gguf_info(path);
  }
  std::string failure(std::string_view bytes) {
    const auto info = read(bytes);
    return info ? "no failure" : info.error();
  }

  std::string folder_;
};

TEST_F(GgufInfoTest, ReadsWhatTheFileSays) {
  const auto info = read(whole_file().bytes);
  ASSERT_TRUE(info) << info.error();
  EXPECT_EQ(info->architecture, "llama");
  EXPECT_EQ(info->name, "A small one");
  EXPECT_EQ(info->parameters, 512u);
  EXPECT_EQ(info->trained_context, 2048u);
  EXPECT_EQ(info->vocabulary, 4u);
  EXPECT_TRUE(info->fill_in_middle);
  EXPECT_TRUE(info->knows_tools());
  EXPECT_EQ(info->pooling, "");
  EXPECT_EQ(info->cache_bytes_per_token, 2u * 4 * (8 + 8) * 2);
}

TEST_F(GgufInfoTest, AnEncoderOnlyEmbeds) {
  Writer file;
  file.head(0, 2).string_pair("general.architecture", "nomic-bert").number_pair("nomic-bert.pooling_type", 1);
  const auto info = read(file.bytes);
  ASSERT_TRUE(info) << info.error();
  EXPECT_EQ(info->pooling, "mean");
  EXPECT_TRUE(info->is_encoder());
}

TEST_F(GgufInfoTest, EveryTruncationIsAnError) {
  const std::string path = folder_ + "/model.gguf";
  ASSERT_TRUE(read(whole_file().bytes));
  for (std::size_t length = whole_file().bytes.size(); length-- > 0;) {
    std::filesystem::resize_file(path, length);
    EXPECT_FALSE(read_gguf_info(path)) << length;
  }
}

TEST_F(GgufInfoTest, AbsurdLengthsAreErrors) {
  constexpr std::uint64_t huge = ~std::uint64_t{0};
  EXPECT_THAT(failure(Writer().head(huge, 0).bytes), HasSubstr("lengths"));
  EXPECT_THAT(failure(Writer().head(0, huge).bytes), HasSubstr("lengths"));
  EXPECT_THAT(failure(Writer().head(0, 1).raw(huge).raw(huge).bytes), HasSubstr("lengths"));
  EXPECT_THAT(
      failure(Writer().head(0, 1).text("k").raw<std::uint32_t>(9).raw<std::uint32_t>(8).raw(huge).bytes),
      HasSubstr("lengths"));
  EXPECT_THAT(
      failure(Writer().head(0, 1).text("k").raw<std::uint32_t>(9).raw<std::uint32_t>(4).raw(huge).bytes),
      HasSubstr("lengths"));
  EXPECT_THAT(
      failure(Writer().head(0, 1).text("k").raw<std::uint32_t>(9).raw<std::uint32_t>(9).raw(huge).bytes),
      HasSubstr("unknown type"));
  EXPECT_THAT(failure(Writer().head(0, 1).text("k").raw<std::uint32_t>(77).raw(huge).bytes),
              HasSubstr("unknown type"));
  EXPECT_THAT(failure(Writer().head(1, 0).tensor("t", {huge, huge}).bytes), HasSubstr("absurd"));
  EXPECT_THAT(failure(Writer().head(2, 0).tensor("t", {huge}).tensor("u", {huge}).bytes),
              HasSubstr("absurd"));
  EXPECT_THAT(failure(Writer().head(1, 0).tensor("t", {1, 1, 1, 1, 1}).bytes), HasSubstr("dimensions"));
  EXPECT_THAT(failure(Writer().head(0, 0).raw(huge).bytes), HasSubstr("architecture"));
  EXPECT_THAT(failure(Writer().head(0, 0, 99).raw(huge).bytes), HasSubstr("version"));
  EXPECT_THAT(failure("PK\3\4 this is not a model file"), HasSubstr("not a GGUF"));
  EXPECT_THAT(read_gguf_info("/nowhere/m.gguf").error(), HasSubstr("/nowhere/m.gguf cannot be used"));
}

// Numbers take eight times the room in memory that they may have in the file.
TEST_F(GgufInfoTest, MetadataIsBounded) {
  constexpr std::uint64_t elements = 65'536;
  constexpr int arrays = 150;
  Writer file;
  file.head(0, arrays);
  for (int i = 0; i < arrays; ++i) {
    file.text("k" + std::to_string(i)).raw<std::uint32_t>(9).raw<std::uint32_t>(0).raw(elements);
    file.bytes.append(elements, '\0');
  }
  EXPECT_THAT(failure(file.bytes), HasSubstr("metadata is too large"));
}

TEST_F(GgufInfoTest, FlippedBytesNeverCrash) {
  const std::string whole = whole_file().bytes;
  std::mt19937 random(1);
  for (int round = 0; round < 200; ++round) {
    std::string bytes = whole;
    for (int flips = 0; flips < 3; ++flips)
      bytes[random() % bytes.size()] = static_cast<char>(random());
    read(bytes);
  }
}

TEST_F(GgufInfoTest, TheTinyModel) {
  const char* tiny = std::getenv("HEARTH_TINY_MODEL");
  if (!tiny) GTEST_SKIP() << "HEARTH_TINY_MODEL is not set";
  const auto info = read_gguf_info(tiny);
  ASSERT_TRUE(info) << info.error();
  EXPECT_GT(info->parameters, 10'000u);
  EXPECT_GT(info->trained_context, 0u);
}

}  // namespace
}  // namespace hearth::engine
