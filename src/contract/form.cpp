#include "contract/form.hpp"

#include <fmt/format.h>

#include "base/text.hpp"

namespace hearth::contract {
namespace {

[[noreturn]] void refuse(std::string_view param, std::string_view code, std::string message) {
  throw to_error({std::string(param), code, std::move(message)});
}

void throw_if(std::optional<Violation> violation) {
  if (violation) throw to_error(std::move(*violation));
}

bool is_readable(std::string_view text) {
  return text.find('\0') == std::string_view::npos && text::is_valid_utf8(text);
}

}  // namespace

FormReader::FormReader(const Validator& validator, const Operation& operation)
    : object_(validator, operation.body), file_limit_(operation.file_limit) {}

FormReader::Part FormReader::begin_part(std::string_view name, std::optional<std::string_view> filename,
                                        std::string_view content_type) {
  if (++parts_ > most_parts) {
    refuse("", code::value, fmt::format("The form has more than {} parts.", most_parts));
  }
  if (!is_readable(name)) refuse("", code::value, "A part of the form has a name that is not UTF-8.");
  const TextObject::Place place = object_.find(name);
  throw_if(object_.judge_name(name, place));
  name_ = name;
  if (place.node == nullptr || place.node->format != Format::binary) {
    open_ = Part::text;
    return open_;
  }
  const std::string_view shown = filename && is_readable(*filename) ? *filename : std::string_view();
  throw_if(object_.add(name, shown));
  files_.push_back({.field = std::string(place.field),
                    .filename = std::string(shown),
                    .content_type = std::string(content_type)});
  open_ = Part::file;
  return open_;
}

void FormReader::take(std::string_view bytes) {
  if (open_ == Part::file) {
    FormFile& file = files_.back();
    file.bytes += bytes.size();
    if (file.bytes <= file_limit_) return;
    throw ApiError(
        413, "invalid_request_error", "request_too_large",
        fmt::format("The file '{}' is larger than the {} bytes allowed here.", file.field, file_limit_),
        file.field);
  }
  text_bytes_ += bytes.size();
  if (text_bytes_ > most_text) {
    refuse(name_, code::string_above_max,
           fmt::format("With '{}' the texts of the form are longer than {} bytes.", name_, most_text));
  }
  text_ += bytes;
}

void FormReader::end_part() {
  if (open_ == Part::file) return;
  if (!is_readable(text_)) {
    refuse(name_, code::value, fmt::format("'{}' is not a text in UTF-8.", name_));
  }
  throw_if(object_.add(name_, text_));
  text_.clear();
}

json::object FormReader::finish(std::vector<std::string>* ignored) {
  auto whole = object_.finish(ignored);
  if (!whole) throw to_error(std::move(whole.error()));
  return std::move(*whole);
}

}  // namespace hearth::contract
