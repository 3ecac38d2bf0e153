#include "domain/token_estimate.hpp"

#include <gtest/gtest.h>

namespace hearth::domain {
namespace {

TokenEstimate estimate(std::string_view request, Generates generates = Generates::text,
                       std::int64_t context = 0) {
  const auto parsed = json::parse(request);
  return estimate_tokens(parsed->get_object(), generates, context);
}

TEST(TokenEstimate, FourBytesOfTextAreAToken) {
  // "user" and the eight letters: 12 bytes, and 4 for the message.
  EXPECT_EQ(estimate(R"({"messages":[{"role":"user","content":"12345678"}]})").prompt, 3 + 4);
  EXPECT_EQ(estimate(R"({"input":"123456789"})", Generates::nothing).prompt, 3);
  EXPECT_EQ(
      estimate(R"({"input":["1234","5678"],"model":"a long name","user":"somebody"})", Generates::nothing)
          .prompt,
      2);
}

TEST(TokenEstimate, TokensCountThemselves) {
  EXPECT_EQ(estimate(R"({"input":[1,2,3]})", Generates::nothing).prompt, 3);
  EXPECT_EQ(estimate(R"({"prompt":[[1,2,3],[4,5]],"max_tokens":7})").prompt, 5);
}

TEST(TokenEstimate, PicturesAndSoundsDoNotCountByTheirBytes) {
  const std::string picture(100'000, 'A');
  const std::string request =
      R"({"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":")" + picture +
      R"("}}]}]})";
  EXPECT_EQ(estimate(request).prompt, 1 + 4 + 512);
  const std::string sound =
      R"({"messages":[{"role":"user","content":[{"type":"input_audio","input_audio":{"data":")" + picture +
      R"(","format":"wav"}}]}]})";
  EXPECT_EQ(estimate(sound).prompt, 1 + 4 + 75'000 / 3200 + 1);
}

TEST(TokenEstimate, MembersThatAreNamedLikePicturesAreText) {
  const std::string text(4000, 'A');
  EXPECT_GE(
      estimate(R"({"messages":[],"tools":[{"parameters":{"properties":{"image_url":{},"x":{"description":")" +
               text + R"("},"input_audio":{"data":{}}}}}]})")
          .prompt,
      1000);
}

TEST(TokenEstimate, TheOutputIsWhatTheRequestAllows) {
  EXPECT_EQ(estimate(R"({"messages":[]})").output, default_output_tokens);
  EXPECT_EQ(estimate(R"({"messages":[],"max_completion_tokens":7,"n":3})").output, 21);
  EXPECT_EQ(estimate(R"({"messages":[],"max_completion_tokens":null,"max_tokens":7})").output, 7);
  EXPECT_EQ(estimate(R"({"prompt":["a","b"],"max_tokens":7,"n":2,"best_of":3})").output, 42);
  EXPECT_EQ(estimate(R"({"prompt":"a","max_tokens":0})").output, 0);
  EXPECT_EQ(estimate(R"({"input":"a"})", Generates::nothing).output, 0);
}

TEST(TokenEstimate, TheContextBoundsTheOutput) {
  EXPECT_EQ(estimate(R"({"messages":[],"max_tokens":100000})", Generates::text, 128).output, 128);
  EXPECT_EQ(estimate(R"({"messages":[]})", Generates::text, 128).output, 128);
  EXPECT_EQ(estimate(R"({"messages":[],"max_tokens":9007199254740991,"n":128})").output,
            std::int64_t{1} << 40);
}

}  // namespace
}  // namespace hearth::domain
