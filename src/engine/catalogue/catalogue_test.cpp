#include "engine/catalogue/catalogue.hpp"

#include <gmock/gmock.h>
#include <stdexcept>

#include <gtest/gtest.h>

namespace hearth::engine {
namespace {

Model model(std::string id) {
  Model made;
  made.id = std::move(id);
  return made;
}

std::string refusal(std::vector<Model> models, std::vector<Alias> aliases) {
  try {
    CatalogueSnapshot snapshot(std::move(models), std::move(aliases));
    return "";
  } catch (const std::runtime_error& error) {
    return error.what();
  }
}

TEST(Catalogue, FindsModelsAliasesAndChains) {
  const CatalogueSnapshot catalogue({model("tiny"), model("big")},
                                    {{"gpt-4o", "latest"}, {"latest", "tiny"}});
  const ProjectId project("proj_1");
  EXPECT_EQ(catalogue.find("tiny", project)->id, "tiny");
  EXPECT_EQ(catalogue.find("gpt-4o", project)->id, "tiny");
  EXPECT_EQ(catalogue.find("latest", project)->id, "tiny");
  EXPECT_EQ(catalogue.find("absent", project), nullptr);
  EXPECT_EQ(catalogue.find("", project), nullptr);
  std::vector<std::string> names;
  for (const Model& each : catalogue.list(project))
    names.push_back(each.id);
  EXPECT_THAT(names, testing::ElementsAre("big", "gpt-4o", "latest", "tiny"));
}

TEST(Catalogue, AFineTunedModelIsItsProjectsOnly) {
  Model tuned = model("ft:tiny:1");
  tuned.fine_tuned = true;
  tuned.project = ProjectId("proj_1");
  const CatalogueSnapshot catalogue({tuned}, {{"mine", "ft:tiny:1"}});
  EXPECT_NE(catalogue.find("ft:tiny:1", ProjectId("proj_1")), nullptr);
  EXPECT_EQ(catalogue.find("ft:tiny:1", ProjectId("proj_2")), nullptr);
  EXPECT_EQ(catalogue.find("mine", ProjectId("proj_2")), nullptr);
  EXPECT_EQ(catalogue.list(ProjectId("proj_1")).size(), 2u);
  EXPECT_TRUE(catalogue.list(ProjectId("proj_2")).empty());
}

TEST(Catalogue, RefusesWhatCannotBeResolved) {
  using testing::HasSubstr;
  EXPECT_THAT(refusal({}, {{"a", "b"}, {"b", "c"}, {"c", "a"}}), HasSubstr("a -> b -> c -> a"));
  EXPECT_THAT(refusal({}, {{"a", "a"}}), HasSubstr("circle"));
  EXPECT_THAT(refusal({}, {{"in", "b"}, {"b", "c"}, {"c", "b"}}), HasSubstr("circle"));
  EXPECT_THAT(refusal({model("m")}, {{"a", "nowhere"}}), HasSubstr("a -> nowhere"));
  EXPECT_THAT(refusal({model("m"), model("m")}, {}), HasSubstr("twice"));
  EXPECT_THAT(refusal({model("m")}, {{"a", "m"}, {"a", "m"}}), HasSubstr("twice"));
  EXPECT_THAT(refusal({model("m")}, {{"m", "m"}}), HasSubstr("name of a model"));
}

TEST(Catalogue, ReadersKeepTheSnapshotTheyBeganWith) {
  Catalogue catalogue(std::make_shared<CatalogueSnapshot>(std::vector{model("old")}, std::vector<Alias>{}));
  const auto before = catalogue.snapshot();
  catalogue.replace(std::make_shared<CatalogueSnapshot>(std::vector{model("new")}, std::vector<Alias>{}));
  EXPECT_NE(before->find("old", ProjectId()), nullptr);
  EXPECT_EQ(catalogue.snapshot()->find("old", ProjectId()), nullptr);
}

}  // namespace
}  // namespace hearth::engine
