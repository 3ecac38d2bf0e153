// Forms as the server reads them: the multipart parser and the contract's form reader together. Any bytes,
// the same fields and files whatever the pieces. The first byte chooses the operation, of the fixture
// contract or the API's; the rest of the first line is the Content-Type.
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/api_error.hpp"
#include "contract/fixture.hpp"
#include "contract/form.hpp"
#include "contract/validator.hpp"
#include "json/json.hpp"
#include "net/multipart.hpp"

namespace {

using hearth::ApiError;
using hearth::contract::BodyKind;
using hearth::contract::FormReader;
using hearth::contract::Operation;
using hearth::contract::Validator;
using hearth::net::MultipartParser;

struct Target {
  const Operation& operation;
  const Validator& validator;
};

const std::vector<Target>& targets() {
  static const Validator fixture(hearth::contract::fixture::tables.schemas);
  static const auto found = [] {
    std::vector<Target> multipart;
    const auto add = [&](std::span<const Operation> operations, const Validator& validator) {
      for (const Operation& operation : operations)
        if (operation.body_kind == BodyKind::multipart) multipart.push_back({operation, validator});
    };
    add(hearth::contract::fixture::tables.operations.operations, fixture);
    add(hearth::contract::operations(), Validator::api());
    return multipart;
  }();
  return found;
}

struct Seen {
  std::string fields;  // as JSON
  std::string files;   // what a sink would be given
  bool complete = false;
  bool operator==(const Seen&) const = default;
};

Seen read(const Target& target, const std::string& boundary, std::string_view body, std::size_t piece) {
  using Event = MultipartParser::Event;
  MultipartParser parser(boundary, {.header_bytes = 512, .parts = 16});
  FormReader form(target.validator, target.operation);
  Seen seen;
  bool is_file = false;
  const auto take = [&] {
    for (;;) {
      switch (parser.next()) {
        case Event::need_more:
        case Event::failed:
          return;
        case Event::part_begin: {
          const auto& part = parser.part();
          const auto name = part.filename ? std::optional<std::string_view>(*part.filename) : std::nullopt;
          is_file = form.begin_part(part.name, name, part.content_type) == FormReader::Part::file;
          if (is_file)
            seen.files += "[" + form.files().back().field + "|" + form.files().back().filename + "|";
          break;
        }
        case Event::part_data:
          form.take(parser.data());
          if (is_file) seen.files += parser.data();
          break;
        case Event::part_end:
          form.end_part();
          if (is_file) seen.files += "]";
          break;
        case Event::done:
          seen.complete = true;
          return;
      }
    }
  };
  try {
    for (std::size_t at = 0; at < body.size() && !seen.complete; at += piece) {
      parser.feed(body.substr(at, piece));
      take();
    }
    parser.finish();
    if (!seen.complete) take();
    if (seen.complete) seen.fields = hearth::json::write(form.finish());
  } catch (const ApiError& error) {
    if (error.status() != 400 && error.status() != 413) std::abort();
    if (error.message().empty()) std::abort();
    seen.complete = false;
  }
  return seen;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  if (text.empty()) return 0;
  const Target& target = targets()[data[0] % targets().size()];
  text.remove_prefix(1);
  const auto line = text.find('\n');
  if (line == std::string_view::npos) return 0;
  const auto boundary = MultipartParser::boundary_of(text.substr(0, line));
  if (!boundary) return 0;
  const auto body = text.substr(line + 1);
  const Seen bytes = read(target, *boundary, body, 1);
  if (read(target, *boundary, body, body.size() + 1).complete != bytes.complete) std::abort();
  // What is refused may have been seen to another point.
  if (bytes.complete && read(target, *boundary, body, 13) != bytes) std::abort();
  return 0;
}
