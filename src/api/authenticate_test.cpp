#include "api/authenticate.hpp"

#include <gtest/gtest.h>

namespace hearth::api {
namespace {

TEST(Authenticate, ShowsNoMoreOfAKeyThanItMust) {
  EXPECT_EQ(redact_key("sk-proj-abcdefghijklmnopqrstuvwxyz"), "sk-proj-***wxyz");
  EXPECT_EQ(redact_key("sk-abcdefghijklmnopqrstuvwxyz"), "sk-***wxyz");
  EXPECT_EQ(redact_key("abcdefghijklmnopqrstuvwxyz"), "abc***wxyz");
  EXPECT_EQ(redact_key("short"), "***");
}

TEST(Authenticate, ReadsCredentialsFromHeadersAndThenFromSubprotocols) {
  const net::SocketOffer offer{
      .accept = {},
      .subprotocols = {"realtime", "openai-insecure-api-key.sk-1", "openai-organization.org-1",
                       "openai-beta.realtime-v1", "openai-project.proj_1"}};
  net::Headers headers;
  const auto offered = credentials_of(headers, offer);
  EXPECT_EQ(offered.key, "sk-1");
  EXPECT_EQ(offered.organization, "org-1");
  EXPECT_EQ(offered.project, "proj_1");
  headers.add("Authorization", "bearer  sk-2 ");
  headers.add("OpenAI-Project", "proj_2");
  const auto both = credentials_of(headers, offer);
  EXPECT_EQ(both.key, "sk-2");
  EXPECT_EQ(both.organization, "org-1");
  EXPECT_EQ(both.project, "proj_2");
  EXPECT_EQ(credentials_of(headers).organization, "");
}

}  // namespace
}  // namespace hearth::api
