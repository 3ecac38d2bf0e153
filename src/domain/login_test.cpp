#include <gtest/gtest.h>

#include "async/runtime.hpp"
#include "domain/login_throttle.hpp"
#include "domain/passwords.hpp"

namespace hearth::domain {
namespace {

using Verdict = LoginThrottle::Verdict;
using namespace std::chrono_literals;

TEST(Passwords, HaveALength) {
  EXPECT_TRUE(find_password_fault("123456789"));
  EXPECT_FALSE(find_password_fault("1234567890"));
  EXPECT_TRUE(find_password_fault("\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9"));  // ten bytes, five characters
  EXPECT_FALSE(find_password_fault(std::string(256, 'x')));
  EXPECT_TRUE(find_password_fault(std::string(257, 'x')));
  EXPECT_TRUE(find_password_fault("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"));
}

TEST(Passwords, AreHashedWithASaltOfTheirOwn) {
  const Clock clock;
  IdSource ids(clock);
  const std::string hash = hash_password("correct horse", ids);
  EXPECT_TRUE(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$")) << hash;
  EXPECT_NE(hash, hash_password("correct horse", ids));
  EXPECT_TRUE(verify_password(hash, "correct horse"));
  EXPECT_FALSE(verify_password(hash, "correct horsf"));
  EXPECT_FALSE(verify_password(hash, ""));
  EXPECT_FALSE(verify_password("", "correct horse"));
  EXPECT_FALSE(verify_password("$argon2id$nonsense", "correct horse"));
}

TEST(Passwords, NobodyHasNone) {
  const Clock clock;
  IdSource ids(clock);
  async::Runtime runtime(1);
  async::BlockingPool pool(2);
  Passwords passwords(pool, ids);
  runtime.run_until_complete([](Passwords& all) -> Task<void> {
    const std::string hash = co_await all.hash("correct horse");
    EXPECT_TRUE(co_await all.verify(hash, "correct horse"));
    EXPECT_FALSE(co_await all.verify(hash, "wrong horse"));
    EXPECT_FALSE(co_await all.verify(std::nullopt, "correct horse"));
  }(passwords));
}

TEST(LoginThrottle, RefusesAfterSomeAttemptsAndForgetsInTime) {
  FakeClock clock;
  LoginThrottle throttle(clock);
  for (int i = 0; i < LoginThrottle::attempts_per_pair; ++i)
    EXPECT_EQ(throttle.attempt("ann", "192.0.2.1").verdict, Verdict::allowed);
  const auto refused = throttle.attempt("ann", "192.0.2.1");
  EXPECT_EQ(refused.verdict, Verdict::refused_now);
  EXPECT_EQ(refused.wait, LoginThrottle::window);
  EXPECT_EQ(throttle.attempt("ann", "192.0.2.1").verdict, Verdict::still_refused);
  EXPECT_EQ(throttle.attempt("ann", "192.0.2.2").verdict, Verdict::allowed);
  EXPECT_EQ(throttle.attempt("bob", "192.0.2.1").verdict, Verdict::allowed);
  clock.advance(LoginThrottle::window);
  EXPECT_EQ(throttle.attempt("ann", "192.0.2.1").verdict, Verdict::allowed);
}

TEST(LoginThrottle, ARightPasswordBeginsAnew) {
  FakeClock clock;
  LoginThrottle throttle(clock);
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(throttle.attempt("ann", "192.0.2.1").verdict, Verdict::allowed);
    throttle.forget("ann", "192.0.2.1");
  }
}

TEST(LoginThrottle, OneAddressCannotTryAllAccounts) {
  FakeClock clock;
  LoginThrottle throttle(clock);
  int allowed = 0;
  for (int i = 0; i < 200; ++i)
    allowed += throttle.attempt(std::to_string(i), "192.0.2.1").verdict == Verdict::allowed ? 1 : 0;
  EXPECT_EQ(allowed, LoginThrottle::attempts_per_address);
}

TEST(LoginThrottle, AnAccountIsNotGuessedFromManyAddresses) {
  FakeClock clock;
  LoginThrottle throttle(clock);
  int allowed = 0;
  for (int i = 0; i < 200; ++i) {
    allowed += throttle.attempt("ann", "192.0.2." + std::to_string(i)).verdict == Verdict::allowed ? 1 : 0;
  }
  EXPECT_EQ(allowed, LoginThrottle::attempts_per_account);
  EXPECT_EQ(throttle.attempt("bob", "192.0.2.1").verdict, Verdict::allowed);
}

TEST(LoginThrottle, ANetworkOfVersion6IsOneAddress) {
  FakeClock clock;
  LoginThrottle throttle(clock);
  int allowed = 0;
  for (int i = 0; i < 200; ++i) {
    const std::string address = "2001:db8::" + std::to_string(i);
    allowed += throttle.attempt(std::to_string(i), address).verdict == Verdict::allowed ? 1 : 0;
  }
  EXPECT_EQ(allowed, LoginThrottle::attempts_per_address);
  EXPECT_EQ(throttle.attempt("ann", "2001:db8:0:1::1").verdict, Verdict::allowed);
}

TEST(LoginThrottle, WhoeverIsRefusedDoesNotMakeItForget) {
  FakeClock clock;
  LoginThrottle throttle(clock);
  for (int i = 0; i < LoginThrottle::attempts_per_address + 1; ++i)
    throttle.attempt("ann", "192.0.2.1");
  const std::size_t before = throttle.size();
  for (int i = 0; i < 1000; ++i)
    EXPECT_NE(throttle.attempt("made up " + std::to_string(i), "192.0.2.1").verdict, Verdict::allowed);
  EXPECT_EQ(throttle.size(), before);
}

TEST(LoginThrottle, IsBounded) {
  FakeClock clock;
  LoginThrottle throttle(clock);
  for (std::size_t i = 0; i < LoginThrottle::max_entries * 2; ++i)
    throttle.attempt("ann", std::to_string(i));
  EXPECT_LE(throttle.size(), LoginThrottle::max_entries + 1);
}

}  // namespace
}  // namespace hearth::domain
