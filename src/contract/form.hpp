// The parts of a multipart body, as the object that the contract's schema describes.
//
// Sans-io: it is told of each part before its bytes come and says what the part is. Texts are read as the
// texts of a query are (query.hpp: `x`, `x[]`, `x[key]`; an object may also be written as JSON). A field
// whose type has the format binary is a file, with or without a file name: its bytes go elsewhere, and in the
// object stands the file's name. `image[]`, or `image` repeated, are the files of one field.
//
//   FormReader form(validator, operation);
//   // for each part
//   const bool is_file = form.begin_part(name, filename, content_type) == FormReader::Part::file;
//   form.take(bytes);                 // as they come; those of a file also go to a sink
//   form.end_part();
//   // at the end
//   json::object fields = form.finish();
//
// Every function throws ApiError: 400 with the code and the `param` that the validator would give, 413 for a
// file above the operation's limit. What can be known from the head of a part (an unknown field, a second
// file where one is allowed) is said before its bytes. Not usable after a throw. Thread: one at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "contract/text_object.hpp"

namespace hearth::contract {

struct FormFile {
  std::string field;         // "image", also where it was sent as "image[]"
  std::string filename;      // as sent: not a path to trust; empty where the part named none
  std::string content_type;  // as sent; empty where the part named none
  std::uint64_t bytes = 0;   // taken so far
};

class FormReader {
 public:
  enum class Part : std::uint8_t { text, file };

  static constexpr std::size_t most_parts = 256;
  static constexpr std::size_t most_text = std::size_t{1} << 20;  // bytes of all texts together

  // The operation has a multipart body.
  FormReader(const Validator& validator, const Operation& operation);

  // The part after the one that was ended. A file becomes the last of `files()`.
  Part begin_part(std::string_view name, std::optional<std::string_view> filename,
                  std::string_view content_type);
  // Bytes of the open part: those of a text are kept, those of a file only counted.
  void take(std::string_view bytes);
  void end_part();

  // The validated object, with defaults, when all parts have come. `ignored` is that of Validator::validate.
  json::object finish(std::vector<std::string>* ignored = nullptr);

  // In the order in which they came.
  std::span<const FormFile> files() const { return files_; }

 private:
  TextObject object_;
  std::size_t file_limit_;
  std::vector<FormFile> files_;
  Part open_ = Part::text;
  std::string name_;  // of the open text
  std::string text_;
  std::size_t parts_ = 0;
  std::size_t text_bytes_ = 0;
};

}  // namespace hearth::contract
