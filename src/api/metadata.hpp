// The `metadata` of an object, from a call and in a reply.
#pragma once

#include "json/json.hpp"
#include "store/metadata.hpp"

namespace hearth::api {

// None where `metadata` is no object: null, or absent.
store::Metadata read_metadata(const json::value& metadata);
json::object render_metadata(const store::Metadata& metadata);

}  // namespace hearth::api
