#include "contract/router.hpp"

#include <gmock/gmock.h>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "contract/fixture.hpp"

namespace hearth::contract {
namespace {

using testing::ElementsAre;

RouteResult find(std::string_view method, std::string_view path) {
  return route(fixture::tables.operations, method, path);
}

// The operation's name and its path values, or what stands in the way.
std::vector<std::string> found(std::string_view method, std::string_view path) {
  const RouteResult result = find(method, path);
  if (std::holds_alternative<RouteNotFound>(result)) return {"not found"};
  if (const auto* refused = std::get_if<MethodNotAllowed>(&result)) {
    std::vector<std::string> words{"allowed:"};
    words.insert(words.end(), refused->allowed.begin(), refused->allowed.end());
    return words;
  }
  const auto& hit = std::get<Route>(result);
  std::vector<std::string> words{std::string(hit.operation->name)};
  words.insert(words.end(), hit.path_values.begin(), hit.path_values.end());
  return words;
}

TEST(Router, FindsStaticAndParameterSegments) {
  EXPECT_THAT(found("GET", "/v1/things"), ElementsAre("list_things"));
  EXPECT_THAT(found("POST", "/v1/things"), ElementsAre("create_thing"));
  EXPECT_THAT(found("GET", "/v1/things/abc"), ElementsAre("get_thing", "abc"));
  EXPECT_THAT(found("GET", "/v1/things/a%20b+%2F"), ElementsAre("get_thing", "a b+/"));
  EXPECT_THAT(found("GET", "/v1/things/a/parts/b"), ElementsAre("get_thing_part", "a", "b"));
}

TEST(Router, PrefersStaticSegmentsAndComesBackFromThem) {
  EXPECT_THAT(found("GET", "/v1/things/special"), ElementsAre("get_special_thing"));
  EXPECT_THAT(found("GET", "/v1/things/special/parts/b"), ElementsAre("get_thing_part", "special", "b"));
}

TEST(Router, LetsHeadFollowGet) {
  EXPECT_THAT(found("HEAD", "/v1/things/abc"), ElementsAre("get_thing", "abc"));
  EXPECT_THAT(found("HEAD", "/v1/plans"), ElementsAre("allowed:", "POST"));
}

TEST(Router, NamesTheAllowedMethods) {
  EXPECT_THAT(found("PUT", "/v1/things/abc"), ElementsAre("allowed:", "DELETE", "GET", "HEAD"));
  EXPECT_THAT(found("get", "/v1/plans"), ElementsAre("allowed:", "POST"));
}

TEST(Operation, AnswersBytesOfTheTypesThatItLists) {
  const Operation& part = *std::get<Route>(find("GET", "/v1/things/a/parts/b")).operation;
  EXPECT_TRUE(answers_bytes(part, 200, "application/pdf"));
  EXPECT_FALSE(answers_bytes(part, 201, "application/pdf"));
  const Operation& speech = *std::get<Route>(find("POST", "/v1/things/a/speech")).operation;
  EXPECT_TRUE(answers_bytes(speech, 200, "audio/wav"));
  EXPECT_TRUE(answers_bytes(speech, 200, "text/plain ; charset=utf-8"));
  EXPECT_FALSE(answers_bytes(speech, 200, "audio/ogg"));
  EXPECT_FALSE(answers_bytes(speech, 200, ""));
}

TEST(Operation, SaysWhatItCountsAsAndWhetherItsWorkStops) {
  const Operation& create = *std::get<Route>(find("POST", "/v1/things")).operation;
  EXPECT_EQ(create.usage, UsageKind::completions);
  EXPECT_EQ(create.cancel, Cancel::when_client_leaves);
  EXPECT_EQ(create.stream_end, StreamEnd::done);
  const Operation& speech = *std::get<Route>(find("POST", "/v1/things/a/speech")).operation;
  EXPECT_EQ(speech.usage, UsageKind::images);
  EXPECT_EQ(speech.usage_source, "image.edit");
  EXPECT_EQ(speech.cancel, Cancel::never);
  const Operation& get = *std::get<Route>(find("GET", "/v1/things/a")).operation;
  EXPECT_EQ(get.usage, std::nullopt);
  EXPECT_EQ(get.cancel, Cancel::when_client_leaves);
  const Operation& upload = *std::get<Route>(find("POST", "/v1/things/special/content")).operation;
  EXPECT_EQ(upload.body_limit, 512u << 20);
  EXPECT_EQ(upload.file_limit, 100u << 20);
}

TEST(Router, RefusesWhatIsNoRoute) {
  for (std::string_view path : {"", "/", "v1/things", "/v1", "/v1/things/", "//v1/things", "/v1//things",
                                "/v2/things", "/v1/things/%zz", "/v1/things/%00", "/v1/things/%ff",
                                "/v1/things/a/parts", "/v1/things/a/parts/b/c", "/V1/things"}) {
    EXPECT_THAT(found("GET", path), ElementsAre("not found")) << path;
  }
}

TEST(Router, LeadsToEveryOperationOfTheApi) {
  ASSERT_EQ(operations().size(), 148U);
  for (const Operation& wanted : operations()) {
    std::string path(wanted.path);
    for (std::size_t at; (at = path.find('{')) != std::string::npos;)
      path.replace(at, path.find('}') - at + 1, "x");
    const RouteResult result = route(wanted.method, path);
    ASSERT_TRUE(std::holds_alternative<Route>(result)) << wanted.name;
    EXPECT_EQ(std::get<Route>(result).operation->name, wanted.name);
    EXPECT_EQ(std::get<Route>(result).path_values.size(), wanted.path_names.size());
    EXPECT_EQ(&operation(wanted.id), &wanted);
  }
}

TEST(Router, AModelsNameMayHoldSlashes) {
  for (std::string_view name : {"tiny", "org/tiny", "org/team/tiny"}) {
    const RouteResult result = route("GET", fmt::format("/v1/models/{}", name));
    ASSERT_TRUE(std::holds_alternative<Route>(result)) << name;
    EXPECT_THAT(std::get<Route>(result).path_values, ElementsAre(name));
  }
  EXPECT_TRUE(std::holds_alternative<RouteNotFound>(route("GET", "/v1/models/")));
  EXPECT_TRUE(std::holds_alternative<RouteNotFound>(route("GET", "/v1/models/a/")));
}

TEST(Operation, TellsWhatTheContractSays) {
  const Operation& upload = fixture::tables.operations.operations[6];
  EXPECT_EQ(upload.name, "upload_thing");
  EXPECT_EQ(upload.group, "things");
  EXPECT_EQ(upload.body_kind, BodyKind::multipart);
  EXPECT_EQ(upload.body, fixture::upload);
  EXPECT_EQ(upload.body_limit, 512U << 20);
  EXPECT_EQ(upload.memory_factor, 1U);
  const Operation& create = fixture::tables.operations.operations[1];
  EXPECT_EQ(create.auth, Auth::key);
  EXPECT_EQ(create.role, Role::member);
  EXPECT_EQ(create.limited, Limited::tokens);
  EXPECT_EQ(upload.limited, Limited::none);
  EXPECT_EQ(fixture::tables.operations.operations[4].role, Role::owner);
  EXPECT_EQ(create.stream_end, StreamEnd::done);
  EXPECT_THAT(create.errors, ElementsAre("model_not_found"));
  EXPECT_EQ(find_reply_form(create, 201)->schema, fixture::undecided);
  EXPECT_EQ(find_reply_form(create, 404), nullptr);
  EXPECT_EQ(find_event_form(create.events, "")->schema, fixture::part);
  EXPECT_EQ(find_event_form(create.events, "x"), nullptr);
  EXPECT_EQ(fixture::tables.operations.operations.back().status, OperationStatus::planned);
}

TEST(Operation, TellsWhatASocketSays) {
  EXPECT_EQ(fixture::tables.operations.operations[0].socket, nullptr);
  const RouteResult routed = find("GET", "/v1/things/7/talk");
  const Operation& talk = *std::get<Route>(routed).operation;
  ASSERT_NE(talk.socket, nullptr);
  EXPECT_EQ(talk.cancel, Cancel::when_client_leaves);
  EXPECT_TRUE(talk.replies.empty() && talk.events.empty());
  EXPECT_EQ(find_event_form(talk.socket->client, "thing.rename")->schema, fixture::thing_rename);
  EXPECT_EQ(find_event_form(talk.socket->client, "thing.renamed"), nullptr) << "that is the server's";
  EXPECT_EQ(find_event_form(talk.socket->server, "thing.renamed")->schema, fixture::thing_renamed);
  EXPECT_EQ(find_event_form(talk.socket->server, "error")->schema, fixture::socket_error);
  EXPECT_THAT(talk.socket->subprotocols, ElementsAre("realtime"));
  EXPECT_EQ(talk.socket->message_limit, 4096U);
}

}  // namespace
}  // namespace hearth::contract
