#include <gtest/gtest.h>

#include "api/web_form.hpp"
#include "api/web_html.hpp"

namespace hearth::api {
namespace {

net::Headers headers(std::initializer_list<net::Headers::Entry> entries) {
  net::Headers made;
  for (const auto& [name, value] : entries)
    made.add(name, value);
  return made;
}

TEST(WebForm, ReadsFields) {
  const auto form = WebForm::parse("name=Ann+B%C3%A9%26&&empty=&bare&name=second");
  ASSERT_TRUE(form.has_value());
  EXPECT_EQ(form->get("name"), "Ann B\xc3\xa9&");
  EXPECT_EQ(form->get("empty"), "");
  EXPECT_EQ(form->get("bare"), "");
  EXPECT_EQ(form->get("none"), "");
  for (const char* broken : {"a=%", "a=%0", "a=%zz", "a=%00", "a=%ff", "%ff=a"})
    EXPECT_FALSE(WebForm::parse(broken).has_value()) << broken;
}

TEST(WebForm, ReadsCookies) {
  const auto sent = headers({{"cookie", "a=1; hearth_session=abc; b=2"}, {"cookie", "c=3"}});
  EXPECT_EQ(read_cookie(sent, "hearth_session"), "abc");
  EXPECT_EQ(read_cookie(sent, "c"), "3");
  EXPECT_EQ(read_cookie(sent, "session"), "");
  EXPECT_EQ(read_cookie(headers({}), "a"), "");
}

TEST(WebForm, KnowsItsOwnOrigin) {
  const std::string_view url = "https://ai.example.org";
  EXPECT_TRUE(is_same_origin(headers({{"sec-fetch-site", "same-origin"}}), ""));
  EXPECT_TRUE(is_same_origin(headers({{"host", "h:1"}, {"origin", "http://h:1"}}), ""));
  EXPECT_TRUE(is_same_origin(headers({{"host", "inner:1"}, {"origin", "https://ai.example.org"}}), url));
  EXPECT_FALSE(is_same_origin(headers({{"host", "h:1"}}), url));
  EXPECT_FALSE(is_same_origin(headers({{"host", "h:1"}, {"origin", "null"}}), ""));
  EXPECT_FALSE(is_same_origin(headers({{"host", "h:1"}, {"origin", "http://h:2"}}), url));
  EXPECT_FALSE(is_same_origin(headers({{"host", "h"}, {"origin", "http://h.evil.example"}}), url));
  EXPECT_FALSE(
      is_same_origin(headers({{"sec-fetch-site", "cross-site"}, {"host", "h"}, {"origin", "http://h"}}), ""));
  EXPECT_FALSE(is_same_origin(headers({{"sec-fetch-site", "same-site"}}), ""));
}

TEST(WebHtml, NothingBreaksOut) {
  const std::string evil = "\"><script>alert('&')</script>";
  EXPECT_EQ(html::escape(evil), "&quot;&gt;&lt;script&gt;alert(&#39;&amp;&#39;)&lt;/script&gt;");
  store::User user;
  user.name = evil;
  user.email = evil;
  const std::vector<store::PersonalProject> projects{{ProjectId(evil), evil, contract::ProjectRole::owner}};
  const std::vector<store::PersonalKey> keys{{KeyId(evil), evil, evil, evil, 1, std::nullopt}};
  for (const std::string& page : {html::login(evil, evil), html::accept_invite(evil, evil, evil, evil),
                                  html::reset_password(evil, evil, evil), html::notice(evil, evil),
                                  html::account({user, projects, keys, evil, evil, evil, evil})}) {
    EXPECT_EQ(page.find("<script"), std::string::npos);
  }
}

}  // namespace
}  // namespace hearth::api
