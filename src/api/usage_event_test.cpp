#include "api/usage_event.hpp"

#include <algorithm>

#include <gtest/gtest.h>

namespace hearth::api {
namespace {

const contract::Operation& operation_named(std::string_view name) {
  return *std::ranges::find(contract::operations(), name, &contract::Operation::name);
}

contract::Principal principal() {
  contract::Principal who{
      .key = KeyId("key_1"), .organization = OrganizationId("org-1"), .project = ProjectId("proj_1")};
  who.owner.id = "user-1";
  return who;
}

std::optional<domain::UsageEvent> event(std::string_view operation, contract::Used used, Ending ending = {}) {
  used.model = "m";
  return usage_event(operation_named(operation), principal(), std::move(used), ending, {});
}

TEST(UsageEvent, SaysWhoUsedWhat) {
  const auto made = event(
      "create_chat_completion",
      {.requests = 1, .input_tokens = 10, .cached_tokens = 4, .output_tokens = 3, .prices = {.input = 1}});
  ASSERT_TRUE(made);
  EXPECT_EQ(made->series, (store::UsageSeries{.tenant = {OrganizationId("org-1"), ProjectId("proj_1")},
                                              .user = "user-1",
                                              .key = KeyId("key_1"),
                                              .model = "m"}));
  EXPECT_EQ(
      made->counts,
      (store::UsageCounts{.requests = 1, .input_tokens = 10, .input_cached_tokens = 4, .output_tokens = 3}));
  EXPECT_EQ(made->costs.size(), 2u);
}

TEST(UsageEvent, AServiceAccountIsNoUser) {
  contract::Principal who = principal();
  who.owner.kind = contract::OwnerKind::service_account;
  const auto made =
      usage_event(operation_named("create_embedding"), who, {.requests = 1, .input_tokens = 1}, {}, {});
  EXPECT_EQ(made->series.user, "");
  EXPECT_EQ(made->series.kind, contract::UsageKind::embeddings);
}

TEST(UsageEvent, EveryLimitedOperationHasAKind) {
  for (const contract::Operation& operation : contract::operations()) {
    if (operation.limited == contract::Limited::none) continue;
    EXPECT_TRUE(event(operation.name, {.requests = 1, .input_tokens = 1})) << operation.name;
  }
  const auto image = event("create_image_edit", {.requests = 1, .images = 2, .image_size = "256x256"});
  EXPECT_EQ(image->series.source, "image.edit");
  EXPECT_EQ(image->series.size, "256x256");
  EXPECT_FALSE(event("list_models", {.requests = 1, .input_tokens = 1}));
}

TEST(UsageEvent, WhatUsedNothingIsNone) {
  EXPECT_FALSE(event("create_chat_completion", {}, {.prompt_tokens = 9})) << "no engine was reached";
  EXPECT_FALSE(event("create_chat_completion", {.requests = 1}, {.prompt_tokens = 9})) << "the engine failed";
  contract::Principal admin = principal();
  admin.project.reset();
  EXPECT_FALSE(
      usage_event(operation_named("create_embedding"), admin, {.requests = 1, .input_tokens = 1}, {}, {}));
}

TEST(UsageEvent, APromptThatNobodyCountedIsEstimated) {
  const auto left =
      event("create_chat_completion", {.requests = 1}, {.client_left = true, .prompt_tokens = 9});
  ASSERT_TRUE(left);
  EXPECT_EQ(left->counts.input_tokens, 9);
  const auto cut = event("create_chat_completion", {.requests = 1, .output_tokens = 4}, {.prompt_tokens = 9});
  EXPECT_EQ(cut->counts.input_tokens, 9);
  EXPECT_EQ(cut->counts.output_tokens, 4);
  const auto counted =
      event("create_chat_completion", {.requests = 1, .input_tokens = 5}, {.prompt_tokens = 9});
  EXPECT_EQ(counted->counts.input_tokens, 5);
}

}  // namespace
}  // namespace hearth::api
