#include "domain/model_directory.hpp"

#include <gtest/gtest.h>

namespace hearth::domain {
namespace {

std::vector<std::string> names(const std::vector<engine::Alias>& aliases) {
  std::vector<std::string> out;
  for (const engine::Alias& alias : aliases)
    out.push_back(alias.name + "=" + alias.target);
  return out;
}

TEST(ResolvableAliases, LeadToModels) {
  engine::Model a;
  a.id = "a";
  engine::Model b;
  b.id = "b";
  const std::vector<engine::Model> models{a, b};
  using Names = std::vector<std::string>;
  EXPECT_EQ(names(resolvable_aliases(models, {{"x", "y"}, {"y", "a"}})), (Names{"y=a", "x=y"}));
  EXPECT_EQ(names(resolvable_aliases(models, {{"x", "missing"}, {"y", "x"}})), Names{});
  EXPECT_EQ(names(resolvable_aliases(models, {{"x", "y"}, {"y", "x"}, {"z", "b"}})), Names{"z=b"});
  EXPECT_EQ(names(resolvable_aliases(models, {{"a", "b"}})), Names{});
  EXPECT_EQ(names(resolvable_aliases(models, {{"x", "a"}, {"x", "b"}})), Names{"x=a"});
}

}  // namespace
}  // namespace hearth::domain
