#include "net/http_parser.hpp"

#include <algorithm>
#include <cstring>

#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/status.hpp>

#include "base/text.hpp"
#include "net/chunk_decoder.hpp"

namespace hearth::net {
namespace {

namespace http = boost::beast::http;
using ErrorCode = boost::beast::error_code;

constexpr std::size_t most_headers = 200;

std::string describe(const ErrorCode& error) {
  return "The HTTP message is malformed: " + error.message() + ".";
}

bool is_digits(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

// Only origin form reaches the layers above; nullopt for what is neither that, nor absolute, nor "*".
std::optional<std::string> origin_form(std::string_view method, std::string_view target) {
  if (target.starts_with('/')) return std::string(target.substr(0, target.find('#')));
  if (target == "*" && method == "OPTIONS") return "*";
  const auto scheme = target.find("://");
  if (scheme == std::string_view::npos) return std::nullopt;
  const auto name = target.substr(0, scheme);
  if (!text::equals_ignore_case(name, "http") && !text::equals_ignore_case(name, "https"))
    return std::nullopt;
  const auto rest = target.substr(scheme + 3);
  const auto path = rest.find_first_of("/?#");
  if (path == 0) return std::nullopt;
  if (path == std::string_view::npos || rest[path] == '#') return "/";
  auto result = std::string(rest.substr(path, rest.find('#') - path));
  return result.starts_with('/') ? result : "/" + result;
}

}  // namespace

struct HttpParser::Impl {
  enum class Body { none, sized, chunked, until_close };

  explicit Impl(std::size_t limit) : header_limit(limit), chunks(limit) {}
  virtual ~Impl() = default;
  virtual std::size_t put(std::string_view bytes, ErrorCode& error) = 0;
  virtual bool head_done() const = 0;
  virtual bool keep_alive() const = 0;

  void refuse(std::string message, int status = 400) {
    if (failure.message.empty()) failure = {status, std::move(message)};
  }
  // Beast joins folded lines: in memory of its own, or by skipping a line end before the value.
  bool is_folded(std::string_view name, std::string_view value) const {
    if (value.empty()) return false;
    if (value.data() < input.data() || value.data() >= input.data() + input.size()) return true;
    const auto* name_end = name.data() + name.size();
    return std::string_view(name_end, value.data()).find('\n') != std::string_view::npos;
  }
  // Whether a line feed without its carriage return stands in `bytes`, which continue what was seen before.
  bool has_bare_line_feed(std::string_view bytes);

  const std::size_t header_limit;
  std::size_t head_bytes = 0;
  std::size_t checked = 0;  // of the unconsumed bytes, by has_bare_line_feed()
  std::string_view input;   // of the put() that runs
  ParseFailure failure;     // with a message once something was refused
  RequestHead request;
  ResponseHead response;
  int version = 11;
  bool has_length = false;
  bool has_coding = false;

  Body body = Body::none;
  std::uint64_t left = 0;  // of a sized body
  ChunkDecoder chunks;
  bool input_ended = false;
};

bool HttpParser::Impl::has_bare_line_feed(std::string_view bytes) {
  for (auto at = bytes.find('\n', checked); at != std::string_view::npos; at = bytes.find('\n', at + 1)) {
    if (at == 0 || bytes[at - 1] != '\r') return true;
  }
  checked = bytes.size();
  return false;
}

template <bool is_request>
struct HttpParser::Typed final : Impl, http::basic_parser<is_request> {
  using Parser = http::basic_parser<is_request>;
  using View = boost::beast::string_view;

  Typed(MessageKind kind, std::size_t limit) : Impl(limit) {
    Parser::header_limit(static_cast<std::uint32_t>(std::min<std::size_t>(limit, UINT32_MAX)));
    Parser::body_limit(boost::none);
    Parser::eager(false);
    if (kind == MessageKind::response_to_head) Parser::skip(true);
  }

  std::size_t put(std::string_view bytes, ErrorCode& error) override {
    return Parser::put(boost::asio::const_buffer(bytes.data(), bytes.size()), error);
  }
  bool head_done() const override { return Parser::is_header_done(); }
  bool keep_alive() const override { return Parser::keep_alive(); }

  void on_request_impl(http::verb, View method, View target, int http_version, ErrorCode&) override {
    version = http_version;
    request.method.assign(method.data(), method.size());
    auto form = origin_form(request.method, std::string_view(target.data(), target.size()));
    // A target with bytes beyond ASCII is not a URI; it would also appear unescaped in messages and logs.
    const auto is_plain = [](char c) { return c > 0x20 && c < 0x7F; };
    if (form && std::ranges::all_of(*form, is_plain)) {
      request.target = std::move(*form);
    } else {
      refuse("The request target must be a path.");
    }
  }
  void on_response_impl(int code, View, int http_version, ErrorCode&) override {
    version = http_version;
    response.status = code;
  }
  void on_field_impl(http::field field, View name, View value, ErrorCode&) override {
    const std::string_view content(value.data(), value.size());
    if (is_folded(std::string_view(name.data(), name.size()), content)) {
      refuse("Folded header lines are not allowed.");
    }
    if (field == http::field::content_length) {
      if (has_length || has_coding || !is_digits(content)) refuse("The Content-Length header is not valid.");
      has_length = true;
    } else if (field == http::field::transfer_encoding) {
      if (has_coding || has_length || version < 11 || !text::equals_ignore_case(content, "chunked")) {
        refuse("The only Transfer-Encoding allowed is 'chunked', once and without a Content-Length.");
      }
      has_coding = true;
    }
    if (headers().entries().size() == most_headers) {
      refuse("The HTTP message has too many headers.", 431);
      return;
    }
    headers().add(std::string(name.data(), name.size()), std::string(content));
  }
  void on_header_impl(ErrorCode&) override {
    if (Parser::is_done()) {
      body = Body::none;
    } else if (Parser::chunked()) {
      body = Body::chunked;
    } else if (const auto length = Parser::content_length()) {
      body = Body::sized;
      left = *length;
    } else {
      body = Body::until_close;
    }
    if constexpr (is_request) {
      const auto hosts = std::ranges::count_if(headers().entries(), [](const Headers::Entry& entry) {
        return text::equals_ignore_case(entry.first.view(), "host");
      });
      if (hosts > 1 || (hosts == 0 && version >= 11)) refuse("The request needs exactly one Host header.");
      request.content_length = body == Body::chunked ? std::nullopt : std::optional<std::uint64_t>(left);
    }
  }
  // The body is not given to this parser.
  void on_body_init_impl(const boost::optional<std::uint64_t>&, ErrorCode&) override {}
  std::size_t on_body_impl(View, ErrorCode&) override { return 0; }
  std::size_t on_chunk_body_impl(std::uint64_t, View, ErrorCode&) override { return 0; }
  void on_chunk_header_impl(std::uint64_t, View, ErrorCode&) override {}
  void on_finish_impl(ErrorCode&) override {}

  Headers& headers() {
    if constexpr (is_request) {
      return request.headers;
    } else {
      return response.headers;
    }
  }
};

HttpParser::HttpParser(MessageKind kind, std::size_t header_limit) {
  if (kind == MessageKind::request) {
    impl_ = std::make_unique<Typed<true>>(kind, header_limit);
  } else {
    impl_ = std::make_unique<Typed<false>>(kind, header_limit);
  }
}
HttpParser::~HttpParser() = default;
HttpParser::HttpParser(HttpParser&&) noexcept = default;
HttpParser& HttpParser::operator=(HttpParser&&) noexcept = default;

std::expected<std::size_t, ParseFailure> HttpParser::parse_head(std::string_view bytes) {
  if (bytes.empty()) return 0;
  ErrorCode error;
  impl_->input = bytes;
  const auto consumed = impl_->put(bytes, error);
  impl_->head_bytes += consumed;
  impl_->checked -= std::min(impl_->checked, consumed);
  if (!impl_->failure.message.empty()) return std::unexpected(impl_->failure);
  const bool more = error == http::error::need_more;
  const auto held = impl_->head_bytes + (more ? bytes.size() - consumed : 0);
  if (error == http::error::header_limit || held > impl_->header_limit) {
    return std::unexpected(ParseFailure{431, "The HTTP header is larger than the " +
                                                 std::to_string(impl_->header_limit) +
                                                 " bytes allowed here."});
  }
  if (more && impl_->has_bare_line_feed(bytes.substr(consumed))) error = http::error::bad_line_ending;
  if (error && error != http::error::need_more) return std::unexpected(ParseFailure{400, describe(error)});
  return consumed;
}

bool HttpParser::head_done() const {
  return impl_->head_done();
}

std::expected<HttpParser::BodyStep, ParseFailure> HttpParser::parse_body(std::string_view bytes,
                                                                         std::span<char> out) {
  BodyStep step;
  switch (impl_->body) {
    case Impl::Body::none:
      break;
    case Impl::Body::chunked: {
      const auto decoded = impl_->chunks.decode(bytes, out);
      if (!decoded) return std::unexpected(ParseFailure{400, "The chunked framing of the body is broken."});
      step = {decoded->consumed, decoded->produced};
      break;
    }
    case Impl::Body::sized:
      bytes = bytes.substr(0, std::min<std::uint64_t>(bytes.size(), impl_->left));
      [[fallthrough]];
    case Impl::Body::until_close:
      step.consumed = step.produced = std::min(bytes.size(), out.size());
      if (step.produced > 0 && bytes.data() != out.data())
        std::memcpy(out.data(), bytes.data(), step.produced);
      if (impl_->body == Impl::Body::sized) impl_->left -= step.consumed;
      break;
  }
  return step;
}

bool HttpParser::done() const {
  if (!impl_->head_done()) return false;
  switch (impl_->body) {
    case Impl::Body::none:
      return true;
    case Impl::Body::sized:
      return impl_->left == 0;
    case Impl::Body::chunked:
      return impl_->chunks.done();
    case Impl::Body::until_close:
      return impl_->input_ended;
  }
  return true;
}

std::optional<std::uint64_t> HttpParser::remaining() const {
  const bool known = impl_->body == Impl::Body::none || impl_->body == Impl::Body::sized;
  return known ? std::optional<std::uint64_t>(impl_->left) : std::nullopt;
}

bool HttpParser::end_of_input() {
  impl_->input_ended = true;
  return done();
}

RequestHead& HttpParser::request() {
  return impl_->request;
}
const ResponseHead& HttpParser::response() const {
  return impl_->response;
}
bool HttpParser::is_http_1_0() const {
  return impl_->version < 11;
}
bool HttpParser::keep_alive() const {
  return impl_->keep_alive();
}

std::string_view reason_phrase(int status) {
  const auto phrase = http::obsolete_reason(http::int_to_status(static_cast<unsigned>(status)));
  return phrase.empty() ? std::string_view("Unknown") : std::string_view(phrase.data(), phrase.size());
}

}  // namespace hearth::net
