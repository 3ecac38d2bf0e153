// One operation of the API as the contract declares it: everything the pipeline needs to know before and
// after the handler. The table is generated; `operation(id)` and the router lead to its entries, which live
// for ever.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "contract/usage_kind.hpp"

namespace hearth::contract {

// The enumerators are generated: "contract/operations.hpp". The values index `operations()`.
enum class OperationId : std::uint16_t;

// A schema or a nameless type inside one. The names are generated: "contract/schemas.hpp".
enum class SchemaId : std::uint16_t;
inline constexpr SchemaId no_schema{0xFFFF};

enum class Auth : std::uint8_t { none, key, admin_key, ephemeral };
// The callers that are allowed. With a project's key: any member, or the owners of the project or the
// organization. With an admin key: readers are all users of the organization, owners are the organization's;
// project_member and project_owner are those of the project in the path, and the organization's owners too.
enum class Role : std::uint8_t { member, reader, owner, project_member, project_owner };
// The limit that a call uses besides requests; none = no limit by model, requests = by those alone.
enum class Limited : std::uint8_t { none, requests, tokens, images, audio };
enum class OperationStatus : std::uint8_t { implemented, planned };
enum class BodyKind : std::uint8_t { none, json, multipart };
enum class ReplyKind : std::uint8_t { empty, json, text, bytes };
// What follows the last event of a stream: nothing, "data: [DONE]", or the same as an event named "done".
enum class StreamEnd : std::uint8_t { none, done, done_event };
// What becomes of the work when the client leaves before its reply.
enum class Cancel : std::uint8_t { never, when_client_leaves };

struct ReplyForm {
  int status;
  ReplyKind kind;
  SchemaId schema;
  std::span<const std::string_view> media;  // of bytes: the content types; empty = any
};

struct EventForm {
  std::string_view name;  // "" = data without an event name
  SchemaId schema;
};

// An operation that is a WebSocket. Each event is an object whose member `type` is its name; `error` is one
// of the server's.
struct SocketForm {
  std::span<const EventForm> client;
  std::span<const EventForm> server;
  std::span<const std::string_view> subprotocols;  // those served, the best first
  std::size_t message_limit;                       // bytes of a client's event
};

struct Operation {
  OperationId id;
  std::string_view name;   // "create_chat_completion"; also the label in logs and metrics
  std::string_view group;  // "chat_completions": the contract's file
  std::string_view method;
  std::string_view path;  // "/v1/chat/completions/{completion_id}"
  Auth auth;
  Role role;  // member where `auth` is none or ephemeral
  Limited limited;
  std::optional<UsageKind> usage;  // none: no model works for it
  std::string_view usage_source;   // of images: "image.generation"
  Cancel cancel;
  OperationStatus status;
  BodyKind body_kind;
  SchemaId body;
  std::size_t body_limit;       // bytes
  std::size_t file_limit;       // bytes of each file in a multipart body
  std::uint32_t memory_factor;  // bytes of memory a byte of body may cost; admission counts with it
  SchemaId path_fields;         // an object type: one field per {parameter}, in the route's order
  SchemaId query_fields;        // an object type
  std::span<const ReplyForm> replies;
  std::span<const EventForm> events;
  EventForm error_event;  // how a stream that fails says so; see stream_error.hpp
  StreamEnd stream_end;
  const SocketForm* socket;                      // null: no socket
  std::span<const std::string_view> path_names;  // the {parameters}, in the route's order
  std::span<const std::string_view> errors;      // codes beyond those that every operation can answer
};

std::span<const Operation> operations();
const Operation& operation(OperationId id);
// nullptr when the operation has no reply of this status.
const ReplyForm* find_reply_form(const Operation& operation, int status);
// Whether a reply of this status may be bytes, or a text, of this Content-Type (parameters aside).
bool answers_bytes(const Operation& operation, int status, std::string_view content_type);
// nullptr when none of the forms has that name.
const EventForm* find_event_form(std::span<const EventForm> forms, std::string_view event);

}  // namespace hearth::contract
