#include "domain/model_spec.hpp"

#include <gtest/gtest.h>

namespace hearth::domain {
namespace {

TEST(ModelSpec, SurvivesTheStore) {
  engine::Model local;
  local.id = "tiny";
  local.created = 5;
  local.owned_by = "me";
  local.capabilities = {engine::Capability::chat, engine::Capability::infill};
  local.backend =
      engine::LlamaSpec{.file = "/m.gguf", .context = 512, .slots = 3, .arguments = {"--flag", "1"}};
  local.prices = {.input = 0.15, .cached_input = 0, .minute = 0.006};
  const engine::Model back = parse_model_record(render_model_record(local, std::nullopt));
  EXPECT_EQ(back.id, "tiny");
  EXPECT_EQ(back.owned_by, "me");
  EXPECT_EQ(back.capabilities, local.capabilities);
  const auto& llama = std::get<engine::LlamaSpec>(back.backend);
  EXPECT_EQ(llama.file, "/m.gguf");
  EXPECT_EQ(llama.context, 512u);
  EXPECT_EQ(llama.slots, 3u);
  EXPECT_EQ(back.prices, local.prices);
  EXPECT_EQ(llama.arguments, (std::vector<std::string>{"--flag", "1"}));

  engine::Model remote;
  remote.id = "ft:far";
  remote.fine_tuned = true;
  remote.backend =
      engine::UpstreamSpec{.base_urls = {"http://a/v1", "http://b/v1"}, .api_key = "k", .model = "x"};
  const store::Tenant tenant{OrganizationId("org-1"), ProjectId("proj_1")};
  const engine::Model far = parse_model_record(render_model_record(remote, tenant));
  EXPECT_TRUE(far.fine_tuned);
  EXPECT_EQ(far.prices, contract::Prices());
  EXPECT_EQ(far.project, ProjectId("proj_1"));
  EXPECT_EQ(std::get<engine::UpstreamSpec>(far.backend).base_urls.size(), 2u);
}

TEST(ModelSpec, NamesWhatIsWrong) {
  store::ModelRecord record{.id = ModelId("bad"), .spec = "[]"};
  EXPECT_THROW(parse_model_record(record), std::runtime_error);
  record.spec = "{}";
  EXPECT_THROW(parse_model_record(record), std::runtime_error);
}

}  // namespace
}  // namespace hearth::domain
