#include "domain/model_spec.hpp"

#include <gtest/gtest.h>

#include "engine/engine_kinds.hpp"

namespace hearth::domain {
namespace {

json::object definition(std::string_view text) {
  return json::parse(text).value().get_object();
}

TEST(ModelSpec, SurvivesTheStore) {
  engine::Model local;
  local.id = "tiny";
  local.created = 5;
  local.owned_by = "me";
  local.capabilities = {engine::Capability::chat, engine::Capability::infill};
  local.engine = engine::parse_engine_spec(
      definition(R"({"file":"/m.gguf","context":512,"slots":3,"arguments":["--flag","1"]})"));
  local.prices = {.input = 0.15, .cached_input = 0, .minute = 0.006};
  const engine::Model back = parse_model_record(render_model_record(local, std::nullopt));
  EXPECT_EQ(back.id, "tiny");
  EXPECT_EQ(back.owned_by, "me");
  EXPECT_EQ(back.capabilities, local.capabilities);
  EXPECT_TRUE(engine::same_engine(*back.engine, *local.engine));
  EXPECT_EQ(back.prices, local.prices);

  engine::Model remote;
  remote.id = "ft:far";
  remote.fine_tuned = true;
  remote.engine = engine::parse_engine_spec(
      definition(R"({"base_urls":["http://a/v1","http://b/v1"],"api_key":"k","model":"x"})"));
  const store::Tenant tenant{OrganizationId("org-1"), ProjectId("proj_1")};
  const engine::Model far = parse_model_record(render_model_record(remote, tenant));
  EXPECT_TRUE(far.fine_tuned);
  EXPECT_EQ(far.prices, contract::Prices());
  EXPECT_EQ(far.project, ProjectId("proj_1"));
  EXPECT_TRUE(engine::same_engine(*far.engine, *remote.engine));
}

TEST(ModelSpec, DefinitionsWithoutAKindAreRead) {
  const store::ModelRecord older{.id = ModelId("older"),
                                 .spec = R"({"file":"/m.gguf","capabilities":["chat"]})"};
  const engine::Model model = parse_model_record(older);
  EXPECT_EQ(model.engine->kind(), "llama");
  EXPECT_EQ(model.engine->place(), "/m.gguf");
}

TEST(ModelSpec, NamesWhatIsWrong) {
  store::ModelRecord record{.id = ModelId("bad"), .spec = "[]"};
  EXPECT_THROW(parse_model_record(record), std::runtime_error);
  record.spec = "{}";
  EXPECT_THROW(parse_model_record(record), std::runtime_error);
}

}  // namespace
}  // namespace hearth::domain
