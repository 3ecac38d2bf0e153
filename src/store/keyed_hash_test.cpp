#include "store/keyed_hash.hpp"

#include <set>
#include <string>
#include <thread>

#include <gtest/gtest.h>

namespace hearth::store {
namespace {

TEST(KeyedHash, TellsTextsApart) {
  const KeyedHash hash;
  std::set<KeyedHash::Digest> seen;
  std::string text;
  for (int length = 0; length <= 100; ++length) {
    seen.insert(hash(text));
    text += 'a';
  }
  for (std::size_t at = 0; at < text.size(); ++at) {
    std::string other = text;
    other[at] = 'b';
    seen.insert(hash(other));
  }
  EXPECT_EQ(seen.size(), 202u);
  EXPECT_EQ(hash(text), hash(std::string(text)));
}

TEST(KeyedHash, IsTheSameOnEveryThreadAndOfThisObjectAlone) {
  const KeyedHash hash;
  const KeyedHash other;
  const KeyedHash::Digest here = hash("sk-proj-secret");
  EXPECT_NE(other("sk-proj-secret"), here);
  EXPECT_EQ(hash("sk-proj-secret"), here);  // with the other's key used in between
  KeyedHash::Digest there{};
  std::thread([&] { there = hash("sk-proj-secret"); }).join();
  EXPECT_EQ(there, here);
}

}  // namespace
}  // namespace hearth::store
