#include "contract/gate.hpp"

#include <gtest/gtest.h>

#include "base/api_error.hpp"
#include "contract/operations.hpp"

namespace hearth::contract {
namespace {

#ifdef HEARTH_GATE

const Operation& models() {
  return operation(OperationId::list_models);
}

TEST(Gate, LetsPassWhatTheContractSays) {
  EXPECT_NO_THROW(
      gate::check_reply(Validator::api(), models(), 200, {{"object", "list"}, {"data", json::array()}}));
  const json::value error = {{"error", {{"message", "m"}, {"type", "t"}, {"param", nullptr}, {"code", "c"}}}};
  EXPECT_NO_THROW(gate::check_error(Validator::api(), &models(), 404, error));
  EXPECT_NO_THROW(
      gate::check_event(Validator::api(), operation(OperationId::create_chat_completion), "", error));
}

TEST(Gate, TurnsAViolationIntoAnErrorOfTheServer) {
  auto code_of = [](auto&& call) {
    try {
      call();
    } catch (const ApiError& error) {
      return std::to_string(error.status()) + " " + error.code().value_or("");
    }
    return std::string("passed");
  };
  const std::string refused = "500 contract_violation";
  EXPECT_EQ(code_of([] { gate::check_reply(Validator::api(), models(), 200, {{"object", "list"}}); }),
            refused);
  EXPECT_EQ(code_of([] {
              gate::check_reply(Validator::api(), models(), 201,
                                {{"object", "list"}, {"data", json::array()}});
            }),
            refused);
  EXPECT_EQ(code_of([] { gate::check_bytes_reply(models(), 200, "text/plain"); }), refused);
  EXPECT_EQ(code_of([] { gate::check_event(Validator::api(), models(), "", json::object()); }), refused);
}

#endif

}  // namespace
}  // namespace hearth::contract
