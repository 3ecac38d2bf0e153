// JSON parser and validator: any bytes, as a document of every body schema of the API. A document that is
// accepted must be written and read back as an equally valid one.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "contract/validator.hpp"
#include "json/json.hpp"

namespace {

using namespace hearth;  // NOLINT: a program of one file

void check(contract::SchemaId schema, const json::value& value) {
  std::vector<std::string> ignored;
  if (auto violation = contract::validate(schema, value, contract::Strictness::request, &ignored)) {
    if (violation->code.empty() || violation->message.empty()) std::abort();
    return;
  }
  const auto again = json::parse(json::write(value));
  if (!again || contract::validate(schema, *again, contract::Strictness::request)) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto document = json::Document::parse(text);
  if (!document) return 0;
  for (const contract::Operation& operation : contract::operations()) {
    if (operation.body_kind != contract::BodyKind::none) check(operation.body, document->root());
  }
  contract::validate(contract::generated_schemas.error_schema, document->root(), contract::Strictness::reply);
  return 0;
}
