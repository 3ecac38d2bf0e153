// Half a gigabyte in and out through the whole pipeline, over sockets and the disk: memory stays where it
// was.
#include <algorithm>
#include <fstream>

#include <gtest/gtest.h>

#include "api/blob_intake.hpp"
#include "api/test_server.hpp"
#include "base/text.hpp"

namespace hearth::api {
namespace {

using net::testing::TestServer;
using testing::TestApi;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool memory_is_real = false;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr bool memory_is_real = false;  // what was freed is kept for a while
#else
constexpr bool memory_is_real = true;
#endif
#else
constexpr bool memory_is_real = true;
#endif

constexpr std::uint64_t mib = 1 << 20;
constexpr std::uint64_t file_size = (memory_is_real ? 512 : 64) * mib;
constexpr std::uint64_t range_size = 100 * mib + 7;  // no multiple of anything

// The most memory that was resident since forget_peak().
std::uint64_t peak_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    std::uint64_t kib = 0;
    if (word == "VmHWM:" && status >> kib) return kib * 1024;
  }
  return 0;
}
void forget_peak() {
  std::ofstream("/proc/self/clear_refs") << "5";
}

// A piece of noise, again and again at another turn: no two blocks are the same.
class Noise {
 public:
  Noise() {
    std::uint64_t state = 88'172'645'463'325'252;
    for (std::size_t at = 0; at < noise_.size(); at += sizeof state) {
      state ^= state << 13;
      state ^= state >> 7;
      state ^= state << 17;
      noise_.replace(at, sizeof state, reinterpret_cast<const char*>(&state), sizeof state);
    }
  }
  // Up to out.size() bytes from `offset` on.
  std::size_t copy(std::uint64_t offset, std::span<char> out) const {
    const std::uint64_t turn = offset / length * 4099;
    const std::size_t at = (offset + turn) % length;
    const std::size_t size =
        std::min({out.size(), length - at, length - static_cast<std::size_t>(offset % length)});
    noise_.copy(out.data(), size, at);
    return size;
  }

 private:
  static constexpr std::size_t length = 1 << 20;
  std::string noise_ = std::string(length, '\0');
};

// The form around the noise, as a client sends it.
class Form final : public net::BodySource {
 public:
  Form(const Noise& noise, text::Sha256& digest) : noise_(noise), digest_(digest) {}
  std::uint64_t size() const { return begin_.size() + file_size + end_.size(); }
  Task<std::size_t> read_some(std::span<char> out) override {
    std::size_t size = 0;
    if (at_ < begin_.size()) {
      size = begin_.copy(out.data(), out.size(), at_);
    } else if (const std::uint64_t offset = at_ - begin_.size(); offset < file_size) {
      size = noise_.copy(offset, out.first(std::min<std::uint64_t>(out.size(), file_size - offset)));
      digest_.add(std::string_view(out.data(), size));
    } else {
      size = end_.copy(out.data(), out.size(), offset - file_size);
    }
    at_ += size;
    co_return size;
  }

 private:
  const Noise& noise_;
  text::Sha256& digest_;
  const std::string begin_ =
      "--XyZ\r\nContent-Disposition: form-data; name=\"file\"; filename=\"large\"\r\n\r\n";
  const std::string end_ =
      "\r\n--XyZ\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\none\r\n--XyZ--\r\n";
  std::uint64_t at_ = 0;
};

// Keeps the file of an upload, and answers every other request with it.
class LargeBytes : public ::testing::Test {
 protected:
  Task<contract::Reply> handle(Services& services, Call& call) {
    if (!call.files.empty()) {
      sha256_ = call.files.front().sha256;
      id_ = co_await call.files.front().content->keep();
      co_return contract::Reply::of({{"name", "a"}});
    }
    auto reader = co_await services.objects.blobs.find(id_);
    co_return contract::Reply::stored({.content_type = "application/octet-stream",
                                       .source = blob_source(std::move(reader)),
                                       .tag = sha256_});
  }
  net::ClientRequest request(std::string method, std::string target) {
    net::ClientRequest made{.method = std::move(method), .target = std::move(target)};
    made.headers.add("authorization", "Bearer " + api_.services().tenant.project_key);
    return made;
  }

  BlobId id_;
  std::string sha256_;
  testing::LimitedFixture fixture_{file_size, file_size + mib};
  TestApi api_{fixture_.serve([this](Services& services, Call& call) { return handle(services, call); })};
};

TEST_F(LargeBytes, MemoryStaysFlat) {
  const TestApi::Body body = [this](TestServer& server) -> Task<void> {
    net::HttpClient client(server.origin(), {});
    const Noise noise;
    std::string buffer(64 * 1024, '\0');
    forget_peak();
    const std::uint64_t before = peak_bytes();
    EXPECT_GT(before, 0u);

    text::Sha256 sent;
    Form form(noise, sent);
    auto upload = request("POST", "/v1/things/special/content");
    upload.headers.add("content-type", "multipart/form-data; boundary=XyZ");
    upload.source = &form;
    upload.source_size = form.size();
    const auto taken = co_await client.send(std::move(upload));
    EXPECT_EQ(taken->head().status, 200);
    EXPECT_EQ(co_await taken->read_all(1000), R"({"name":"a"})");
    const std::string sha256 = sent.finish_hex();
    EXPECT_EQ(sha256_, sha256);

    text::Sha256 received;
    std::uint64_t at = 0;
    while (at < file_size) {
      auto download = request("GET", "/v1/things/a/parts/b");
      download.headers.add("range", fmt::format("bytes={}-{}", at, at + range_size - 1));
      const auto part = co_await client.send(std::move(download));
      EXPECT_EQ(part->head().status, 206);
      const std::uint64_t begin = at;
      while (const std::size_t got = co_await part->read_some(buffer)) {
        received.add(std::string_view(buffer).substr(0, got));
        at += got;
      }
      EXPECT_EQ(at - begin, std::min(range_size, file_size - begin));
      if (at == begin) break;
    }
    EXPECT_EQ(at, file_size);
    EXPECT_EQ(received.finish_hex(), sha256);

    const std::uint64_t grown = peak_bytes() - before;
    fmt::print("memory grew by {} KiB over {} MiB in and out\n", grown / 1024, file_size / mib);
    if (memory_is_real) EXPECT_LT(grown, 64 * mib);
  };
  api_.run(body);
}

}  // namespace
}  // namespace hearth::api
