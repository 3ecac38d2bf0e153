// main() of the unit tests. Every wait of a test has an end: a test that takes too long ends the program and
// is named, so that a run never hangs.
#include <csignal>
#include <gmock/gmock.h>
#include <string>
#include <unistd.h>

#include <gtest/gtest.h>

namespace {

constexpr unsigned longest_test = 120;  // seconds; sanitizers and a busy machine are in it
std::string told;                       // what the handler says, ready before it has to

extern "C" void end_of_patience(int) {
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, told.data(), told.size());
  ::_exit(1);
}

class Watch : public testing::EmptyTestEventListener {
  void OnTestStart(const testing::TestInfo& test) override {
    told = "\n[  FAILED  ] " + std::string(test.test_suite_name()) + "." + test.name() +
           " has not ended after " + std::to_string(longest_test) + " s\n";
    ::alarm(longest_test);
  }
  void OnTestEnd(const testing::TestInfo&) override { ::alarm(0); }
};

}  // namespace

int main(int count, char** arguments) {
  testing::InitGoogleMock(&count, arguments);
  std::signal(SIGALRM, end_of_patience);
  testing::UnitTest::GetInstance()->listeners().Append(new Watch);  // which owns it
  return RUN_ALL_TESTS();
}
