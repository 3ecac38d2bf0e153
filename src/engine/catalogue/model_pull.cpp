#include "engine/catalogue/model_pull.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <memory>
#include <optional>
#include <span>
#include <unistd.h>
#include <vector>

#include <fmt/format.h>

#include "async/deadline.hpp"
#include "base/text.hpp"
#include "net/http_client.hpp"

namespace hearth::engine {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

constexpr int most_redirects = 5;
constexpr int most_rounds = 1000;  // however often a server breaks off after a few bytes

// An attempt failed in a way that another one may cure.
struct Interrupted : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Url {
  net::Origin origin;
  std::string target;
};

Url parse_url(const std::string& text) {
  std::string path;
  auto origin = net::Origin::parse(text, &path);
  if (!origin)
    throw PullError(fmt::format("'{}' is not an address that a model can be downloaded from", text));
  return {std::move(*origin), path.empty() ? "/" : path};
}

std::string encode_path(std::string_view path) {
  std::string out;
  for (const char c : path) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       std::string_view("-._~/").find(c) != std::string_view::npos;
    if (plain) {
      out.push_back(c);
    } else {
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

std::optional<std::uint64_t> parse_number(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// "W/\"abc\"" → "abc"
std::string_view bare_etag(std::string_view etag) {
  if (etag.starts_with("W/")) etag.remove_prefix(2);
  if (etag.size() >= 2 && etag.front() == '"' && etag.back() == '"') etag = etag.substr(1, etag.size() - 2);
  return etag;
}

bool is_sha256(std::string_view text) {
  return text.size() == 64 && std::ranges::all_of(text, [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
         });
}

std::string hash_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  text::Sha256 digest;
  std::vector<char> buffer(1 << 20);
  while (file.read(buffer.data(), static_cast<std::streamsize>(buffer.size())) || file.gcount() > 0)
    digest.add({buffer.data(), static_cast<std::size_t>(file.gcount())});
  return digest.finish_hex();
}

// The file while it grows.
class Part {
 public:
  explicit Part(const fs::path& target)
      : path_(target.string() + ".part"), version_path_(path_.string() + ".version") {
    fd_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (fd_ < 0) throw PullError(fmt::format("cannot write {}: {}", path_.string(), std::strerror(errno)));
    std::ifstream(version_path_) >> version_;
    size_ = fs::file_size(path_);
    if (version_.empty() && size_ > 0) begin_anew("");
  }
  ~Part() {
    if (fd_ >= 0) ::close(fd_);
  }
  Part(const Part&) = delete;

  std::uint64_t size() const { return size_; }
  const std::string& version() const { return version_; }
  const fs::path& path() const { return path_; }

  void begin_anew(std::string_view version) {
    if (::ftruncate(fd_, 0) != 0) fail();
    size_ = 0;
    version_ = version;
    std::ofstream(version_path_, std::ios::trunc) << version_ << '\n';
  }
  void append(std::string_view bytes) {
    while (!bytes.empty()) {
      const auto n = ::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(size_));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) fail();
      size_ += static_cast<std::uint64_t>(n);
      bytes.remove_prefix(static_cast<std::size_t>(n));
    }
  }
  // On disk before it is called complete.
  void finish(const fs::path& target) {
    if (::fsync(fd_) != 0) fail();
    fs::rename(path_, target);
    fs::remove(version_path_);
  }
  void discard() {
    fs::remove(path_);
    fs::remove(version_path_);
  }

 private:
  [[noreturn]] void fail() {
    throw PullError(fmt::format("cannot write {}: {}", path_.string(), std::strerror(errno)));
  }
  fs::path path_;
  fs::path version_path_;
  int fd_ = -1;
  std::uint64_t size_ = 0;
  std::string version_;
};

class Download {
 public:
  Download(PullSource source, PullSettings settings, std::function<void(const PullProgress&)> progress,
           const fs::path& target)
      : source_(std::move(source)),
        settings_(std::move(settings)),
        progress_(std::move(progress)),
        part_(target),
        resumed_(part_.size() > 0) {
    start_ = parse_url(settings_.endpoint);
    while (start_.target.ends_with('/'))
      start_.target.pop_back();
    start_.target += encode_path(
        fmt::format("/{}/{}/resolve/main/{}", source_.organization, source_.repository, source_.file));
  }

  Task<PulledFile> run(const fs::path& target) {
    unsigned fruitless = 0;
    auto pause = settings_.pause;
    for (int round = 0; round < most_rounds; ++round) {
      const std::uint64_t before = part_.size();
      std::string cause;
      try {
        co_await attempt();
      } catch (const Interrupted& interrupted) {
        cause = interrupted.what();
      } catch (const net::ClientError& error) {
        cause = error.what();
      }
      if (cause.empty()) co_return finish(target);
      if (part_.size() > before) {
        fruitless = 0;
        pause = settings_.pause;
      } else if (++fruitless >= settings_.attempts) {
        throw PullError(
            fmt::format("the download of {} was given up after {} attempts: {}. What has arrived ({} "
                        "bytes) is kept; the same command goes on from there",
                        source_.file, fruitless, cause, part_.size()));
      }
      co_await async::sleep_for(pause);
      pause = std::min(pause * 2, std::chrono::milliseconds(30s));
    }
    throw PullError(fmt::format("the download of {} breaks off again and again; try later", source_.file));
  }

 private:
  // One request with its redirects, to the end of the body.
  Task<void> attempt() {
    // Nobody could say whether the rest would belong to it.
    if (part_.version().empty() && part_.size() > 0) begin_anew();
    Url url = start_;
    for (int redirects = 0; redirects <= most_redirects; ++redirects) {
      net::HttpClient client(url.origin, {.connect = 15s, .header = 60s, .between_bytes = 60s}, 1);
      const auto reply = co_await client.send(request_for(url));
      const auto& head = reply->head();
      note_promises(head.headers);
      if (head.status >= 300 && head.status < 400 && head.headers.contains("location")) {
        url = follow(url, std::string(head.headers.get("location")));
        continue;
      }
      check_status(head.status);
      if (head.status == 416) {
        check_complete(head.headers);
      } else {
        co_await take_body(*reply);
      }
      co_return check_length();
    }
    throw PullError("the server redirects in circles");
  }

  net::ClientRequest request_for(const Url& url) const {
    net::ClientRequest request{.method = "GET", .target = url.target};
    request.headers.add("accept-encoding", "identity");
    if (!settings_.token.empty() && url.origin == start_.origin)
      request.headers.add("authorization", "Bearer " + settings_.token);
    if (part_.size() > 0) {
      request.headers.add("range", fmt::format("bytes={}-", part_.size()));
      request.headers.add("if-range", part_.version());
    }
    return request;
  }

  static Url follow(const Url& from, const std::string& location) {
    if (location.starts_with('/')) return {from.origin, location};
    Url next = parse_url(location);
    if (from.origin.scheme == "https" && next.origin.scheme != "https")
      throw PullError("the server redirects from https to an address without it");
    return next;
  }

  // What the hub says about the file itself, whichever address delivers it.
  void note_promises(const net::Headers& headers) {
    if (const auto size = parse_number(headers.get("x-linked-size"))) total_ = *size;
    for (const auto name : {"x-linked-etag", "etag"}) {
      const auto etag = bare_etag(headers.get(name));
      if (promised_sha256_.empty() && is_sha256(etag)) promised_sha256_ = etag;
    }
  }

  void check_status(int status) const {
    const std::string where = fmt::format("{}/{}/{}", source_.organization, source_.repository, source_.file);
    switch (status) {
      case 200:
      case 206:
      case 416:
        return;
      case 401:
      case 403:
        throw PullError(
            fmt::format("the hub does not give out {}: it may not exist, or needs a token that may "
                        "read it",
                        where));
      case 404:
        throw PullError(fmt::format("the hub has no file {}; mind the case of the letters", where));
      case 429:
        throw Interrupted("the hub asks for patience (429)");
      default:
        if (status >= 500) throw Interrupted(fmt::format("the server answered {}", status));
        throw PullError(fmt::format("the server answered {} for {}", status, where));
    }
  }

  void begin_anew() {
    part_.begin_anew("");
    resumed_ = false;
  }

  // The server has nothing after the part (416): either the part is the whole file, or it is wrong.
  void check_complete(const net::Headers& headers) {
    const auto range = headers.get("content-range");  // bytes */200
    if (range.starts_with("bytes */")) {
      if (const auto total = parse_number(range.substr(8))) expect(*total);
    }
    if (part_.size() > 0 && part_.size() == total_) return;
    begin_anew();
    total_ = 0;
    throw Interrupted("the server has nothing after what has arrived; that was thrown away");
  }

  Task<void> take_body(net::ClientResponse& reply) {
    const auto& headers = reply.head().headers;
    const std::string version(headers.get("etag"));
    const auto length = parse_number(headers.get("content-length"));
    if (reply.head().status == 206) {
      const auto range = headers.get("content-range");  // bytes 100-199/200
      const std::string expected = fmt::format("bytes {}-", part_.size());
      if (!range.starts_with(expected)) {
        part_.begin_anew("");
        throw Interrupted("the server sent another part of the file than was asked for");
      }
      if (const auto total = parse_number(range.substr(std::min(range.size(), range.find('/') + 1))))
        expect(*total);
    } else {
      // The whole file: another version, or a server that cannot resume. Weak versions cannot be resumed.
      part_.begin_anew(version.starts_with("W/") ? "" : version);
      resumed_ = false;
      if (length) expect(*length);
    }
    check_space();
    std::vector<char> buffer(256 * 1024);
    report();
    for (;;) {
      const std::size_t n = co_await reply.read_some(buffer);
      if (n == 0) co_return;
      part_.append({buffer.data(), n});
      if (total_ > 0 && part_.size() > total_) {
        part_.begin_anew("");
        throw Interrupted(fmt::format("the server sends more than the {} bytes that the file has", total_));
      }
      report();
    }
  }

  void expect(std::uint64_t total) {
    if (total_ > 0 && total_ != total) {
      part_.begin_anew("");
      throw Interrupted(fmt::format("the server speaks of {} bytes and the hub of {}", total, total_));
    }
    total_ = total;
  }

  void check_length() {
    if (total_ == 0 || part_.size() == total_) return;
    if (part_.size() > total_) part_.begin_anew("");
    throw Interrupted(fmt::format("{} of {} bytes arrived", part_.size(), total_));
  }

  void check_space() const {
    std::error_code error;
    const auto space = fs::space(part_.path(), error);
    if (!error && total_ > part_.size() && space.available < total_ - part_.size())
      throw PullError(fmt::format("the file needs {} MiB more and {} has {} MiB free",
                                  (total_ - part_.size()) >> 20, part_.path().parent_path().string(),
                                  space.available >> 20));
  }

  void report() const {
    if (progress_) progress_({.received = part_.size(), .total = total_, .resumed = resumed_});
  }

  PulledFile finish(const fs::path& target) {
    PulledFile file{.path = target, .bytes = part_.size(), .sha256 = hash_file(part_.path())};
    const std::string& expected = settings_.sha256.empty() ? promised_sha256_ : settings_.sha256;
    if (!expected.empty() && !text::equals_ignore_case(expected, file.sha256)) {
      part_.discard();
      throw PullError(fmt::format("the checksum of {} is wrong: {} instead of {}. The file was thrown away",
                                  source_.file, file.sha256, expected));
    }
    part_.finish(target);
    return file;
  }

  PullSource source_;
  PullSettings settings_;
  std::function<void(const PullProgress&)> progress_;
  Url start_;
  Part part_;
  bool resumed_;
  std::uint64_t total_ = 0;
  std::string promised_sha256_;
};

bool is_safe_name(std::string_view part) {
  return !part.empty() && part != "." && part != ".." && std::ranges::all_of(part, [](char c) {
    return static_cast<unsigned char>(c) > ' ' && c != '\\' && c != 127;
  });
}

}  // namespace

std::expected<PullSource, std::string> PullSource::parse(std::string_view text) {
  constexpr std::string_view form = "a model to pull is written hf:organization/repository/file.gguf";
  if (!text.starts_with("hf:")) return std::unexpected(std::string(form));
  text.remove_prefix(3);
  std::vector<std::string_view> parts;
  for (std::size_t begin = 0; begin <= text.size();) {
    const auto end = std::min(text.find('/', begin), text.size());
    parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  if (parts.size() < 3 || !std::ranges::all_of(parts, is_safe_name))
    return std::unexpected(std::string(form));
  if (!text.ends_with(".gguf"))
    return std::unexpected(
        fmt::format("'{}' is not a .gguf file, the only kind that can be served", parts.back()));
  const auto file = text.substr(parts[0].size() + parts[1].size() + 2);
  return PullSource{std::string(parts[0]), std::string(parts[1]), std::string(file)};
}

Task<PulledFile> pull_model(PullSource source, PullSettings settings,
                            std::function<void(const PullProgress&)> progress) {
  const fs::path target = settings.cache / source.organization / source.repository / source.file;
  std::error_code error;
  fs::create_directories(target.parent_path(), error);
  if (error)
    throw PullError(fmt::format("cannot make {}: {}", target.parent_path().string(), error.message()));
  if (!settings.sha256.empty() && !is_sha256(settings.sha256))
    throw PullError("a SHA-256 checksum has 64 hexadecimal digits");
  if (fs::exists(target)) {
    PulledFile file{
        .path = target, .bytes = fs::file_size(target), .sha256 = hash_file(target), .was_there = true};
    if (settings.sha256.empty() || text::equals_ignore_case(settings.sha256, file.sha256)) co_return file;
    fs::remove(target);
  }
  Download download(std::move(source), std::move(settings), std::move(progress), target);
  co_return co_await download.run(target);
}

}  // namespace hearth::engine
