// The part of RequestBody that receives multipart bodies: texts are kept and checked, files go to the intake
// while they come.
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "api/request_body.hpp"
#include "base/api_error.hpp"
#include "base/text.hpp"
#include "contract/form.hpp"
#include "net/multipart.hpp"

namespace hearth::api {
namespace {

constexpr std::string_view form_type = "multipart/form-data";
constexpr std::size_t read_step = 32 * 1024;
// What a form holds beside its texts, whatever its size: the piece that was read last, the parser's copy of
// it, and what the file that is open keeps of its own.
constexpr std::size_t fixed_memory = 256 * 1024;
constexpr std::size_t text_step = 16 * 1024;  // of the texts' memory

std::string find_boundary(std::string_view content_type) {
  if (auto boundary = net::MultipartParser::boundary_of(content_type)) return std::move(*boundary);
  std::string_view media = content_type.substr(0, content_type.find(';'));
  while (media.ends_with(' '))
    media.remove_suffix(1);
  if (!text::equals_ignore_case(media, form_type)) throw ApiError::unsupported_media_type(form_type);
  throw ApiError::invalid_request("invalid_multipart", "The header Content-Type names no valid boundary.");
}

// One form, from its first byte to its last. Lives in the coroutine that receives it.
class Receiver {
 public:
  Receiver(contract::Call& call, const contract::Validator& validator, contract::FileIntake& intake,
           BodyMemory& memory, async::Semaphore::Permit& permit)
      : call_(call), form_(validator, call.operation), intake_(intake), memory_(memory), permit_(permit) {}

  Task<void> receive(net::MultipartParser& parser, net::BodyReader& reader) {
    using Event = net::MultipartParser::Event;
    std::string piece(read_step, '\0');
    for (Event event = parser.next(); event != Event::done; event = parser.next()) {
      switch (event) {
        case Event::need_more:
          if (const std::size_t got = co_await read(reader, piece); got > 0) {
            parser.feed(std::string_view(piece).substr(0, got));
          } else {
            parser.finish();
          }
          break;
        case Event::part_begin:
          co_await begin_part(parser.part());
          break;
        case Event::part_data:
          co_await take(parser.data());
          break;
        case Event::part_end:
          co_await end_part();
          break;
        case Event::done:
          break;
        case Event::failed:
          throw ApiError::invalid_request("invalid_multipart", parser.failure());
      }
    }
    // What follows the last boundary has no meaning, and is part of the body.
    while (co_await read(reader, piece) > 0) {
    }
  }

  json::object finish() { return form_.finish(&call_.ignored); }

 private:
  Task<std::size_t> read(net::BodyReader& reader, std::span<char> piece) {
    const std::size_t got = co_await reader.read_some(piece);
    received_ += got;
    if (received_ > call_.operation.body_limit) throw ApiError::payload_too_large(call_.operation.body_limit);
    co_return got;
  }

  Task<void> begin_part(const net::PartHead& head) {
    const auto file_name =
        head.filename ? std::optional<std::string_view>(*head.filename) : std::optional<std::string_view>();
    const auto kind = form_.begin_part(head.name, file_name, head.content_type);
    if (kind == contract::FormReader::Part::file) sink_ = co_await intake_.open();
  }

  Task<void> take(std::string_view bytes) {
    form_.take(bytes);
    if (sink_) {
      co_await sink_->write(bytes);
      co_return;
    }
    for (text_bytes_ += bytes.size(); text_bytes_ > text_room_; text_room_ += text_step)
      permit_.absorb(co_await memory_.reserve(call_.operation, text_step));
  }

  Task<void> end_part() {
    form_.end_part();
    if (!sink_) co_return;
    const contract::FormFile& file = form_.files().back();
    auto finished = co_await std::exchange(sink_, nullptr)->finish();
    call_.files.push_back({.field = file.field,
                           .file_name = file.filename,
                           .content_type = file.content_type,
                           .sha256 = std::move(finished.sha256),
                           .content = std::move(finished.content)});
  }

  contract::Call& call_;
  contract::FormReader form_;
  contract::FileIntake& intake_;
  BodyMemory& memory_;
  async::Semaphore::Permit& permit_;
  std::unique_ptr<contract::FileSink> sink_;  // of the file that is open
  std::uint64_t received_ = 0;
  std::size_t text_bytes_ = 0;
  std::size_t text_room_ = 0;
};

}  // namespace

Task<void> RequestBody::receive_form(contract::Call& call, const net::RequestHead& head,
                                     net::BodyReader& reader, BodyMemory& memory,
                                     const contract::Validator& validator, contract::FileIntake& intake) {
  const contract::Operation& operation = call.operation;
  net::MultipartParser parser(find_boundary(head.headers.get("content-type")),
                              {.parts = contract::FormReader::most_parts + 1});  // the form says it better
  if (head.content_length.value_or(0) > operation.body_limit)
    throw ApiError::payload_too_large(operation.body_limit);
  permit_ = co_await memory.reserve_exactly(fixed_memory);
  Receiver receiver(call, validator, intake, memory, *permit_);
  co_await receiver.receive(parser, reader);
  form_.emplace(receiver.finish());
  call.body = &*form_;
}

}  // namespace hearth::api
