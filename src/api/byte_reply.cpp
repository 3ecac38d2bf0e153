// The part of ReplySender that sends bytes in pieces: stored ones, by ranges and conditions, and live ones.
#include <algorithm>
#include <chrono>
#include <optional>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>

#include "api/reply_sender.hpp"
#include "async/interruptible.hpp"
#include "contract/gate.hpp"
#include "net/http_conditions.hpp"

namespace hearth::api {
namespace {

using Kind = net::Selection::Kind;

constexpr std::size_t piece_size = 64 * 1024;
constexpr std::chrono::milliseconds unwatched_time{50};  // before somebody looks whether the client has left

// What is sent of the bytes. ApiError 412, 416.
net::Selection select(Exchange& exchange, int status, const contract::StoredBytes& bytes,
                      const net::Validators& validators) {
  const std::uint64_t size = bytes.source->size();
  const auto& request = exchange.head;
  const bool is_read = request.method == "GET" || request.method == "HEAD";
  if (status != 200 || !is_read) return {.offset = 0, .length = size};
  const net::Selection selection = net::select_bytes(request.method, request.headers, validators, size);
  if (selection.kind == Kind::precondition_failed) {
    throw ApiError(412, "invalid_request_error", "precondition_failed",
                   "What the request's conditions name is not what there is now.");
  }
  if (selection.kind == Kind::unsatisfiable) {
    exchange.content_range = fmt::format("bytes */{}", size);
    throw ApiError(416, "invalid_request_error", "range_not_satisfiable",
                   fmt::format("The range begins behind the end: there are {} bytes.", size));
  }
  return selection;
}

void describe(net::Headers& headers, const contract::StoredBytes& bytes, const net::Validators& validators,
              const net::Selection& selection) {
  headers.add("accept-ranges", "bytes");
  if (!validators.etag.empty()) headers.add("etag", validators.etag);
  if (validators.last_modified)
    headers.add("last-modified", net::render_http_date(*validators.last_modified));
  if (selection.kind == Kind::not_modified) return;
  if (!bytes.file_name.empty()) headers.add("content-disposition", net::render_attachment(bytes.file_name));
  headers.add("x-content-type-options", "nosniff");  // whoever sent them chose the type too
  if (selection.kind == Kind::part) {
    headers.add("content-range", fmt::format("bytes {}-{}/{}", selection.offset,
                                             selection.offset + selection.length - 1, bytes.source->size()));
  }
}

// The reply begins with the producer's first bytes: what fails before them keeps its status. Where the work
// goes on without its client, what it still makes is dropped.
class LiveSink final : public contract::ByteSink {
 public:
  LiveSink(net::ResponseWriter& response, net::ResponseHead head, contract::Cancel cancel)
      : response_(response), head_(std::move(head)), cancel_(cancel) {}

  Task<void> send(std::string_view bytes) override {
    if (discards_) co_return;
    try {
      co_await begin();
      co_await response_.write(bytes);
    } catch (const net::ConnectionLost&) {
      if (cancel_ == contract::Cancel::when_client_leaves) throw;
      discards_ = true;
    }
  }
  bool discards() const { return discards_; }
  Task<void> begin() {
    if (head_) co_await response_.begin(*std::exchange(head_, std::nullopt));
  }

 private:
  net::ResponseWriter& response_;
  std::optional<net::ResponseHead> head_;  // until the reply has begun
  contract::Cancel cancel_;
  bool discards_ = false;  // the client has left
};

}  // namespace

Task<void> ReplySender::send_stored(Exchange& exchange, contract::Reply reply) const {
  auto& bytes = std::get<contract::StoredBytes>(reply.body);
  contract::gate::check_bytes_reply(*exchange.operation, reply.status, bytes.content_type);
  const net::Validators validators{.etag = bytes.tag.empty() ? "" : fmt::format("\"{}\"", bytes.tag),
                                   .last_modified = bytes.last_modified};
  const net::Selection selection = select(exchange, reply.status, bytes, validators);
  if (selection.kind == Kind::part) reply.status = 206;
  if (selection.kind == Kind::not_modified) reply.status = 304;
  net::ResponseHead head = head_of(
      exchange, reply, reply.status == 304 ? std::string_view() : std::string_view(bytes.content_type));
  describe(head.headers, bytes, validators, selection);

  std::string piece;
  std::uint64_t sent = 0;
  const auto read_next = [&]() -> Task<void> {
    piece.resize(std::min<std::uint64_t>(piece_size, selection.length - sent));
    const std::size_t got = co_await bytes.source->read(selection.offset + sent, piece);
    if (got == 0) throw std::runtime_error("stored bytes end before their number");
    piece.resize(got);
    sent += got;
  };
  const bool has_body = exchange.head.method != "HEAD" && selection.length > 0;
  if (has_body) co_await read_next();  // what cannot be read keeps its status
  exchange.status = reply.status;
  exchange.end_metered();
  co_await exchange.response.begin(std::move(head), selection.length);
  while (has_body && sent < selection.length) {
    co_await exchange.response.write(piece);
    co_await read_next();
  }
  co_await exchange.response.end(piece);
}

Task<void> ReplySender::send_live(Exchange& exchange, contract::Reply reply) const {
  auto& bytes = std::get<contract::LiveBytes>(reply.body);
  contract::gate::check_bytes_reply(*exchange.operation, reply.status, bytes.content_type);
  const contract::Cancel cancel = exchange.operation->cancel;
  LiveSink sink(exchange.response, head_of(exchange, reply, bytes.content_type), cancel);
  exchange.status = reply.status;
  if (exchange.head.method == "HEAD") {
    // nothing is made
  } else if (cancel == contract::Cancel::never) {
    co_await bytes.producer(sink);
  } else if (!co_await async::run_unless(bytes.producer(sink), exchange.response.closed(), unwatched_time)) {
    throw net::ConnectionLost("the client left before the end of its reply");
  }
  if (sink.discards()) throw net::ConnectionLost("the client left before the end of its reply");
  co_await sink.begin();
  exchange.end_metered();
  co_await exchange.response.end();
}

}  // namespace hearth::api
