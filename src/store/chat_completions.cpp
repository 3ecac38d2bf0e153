#include "store/chat_completions.hpp"

#include <charconv>

#include <fmt/format.h>

#include "json/json.hpp"
#include "store/sequence.hpp"

namespace hearth::store {
namespace {

// The columns that parse_record reads.
constexpr std::string_view record_columns = "id, created_at, model, request, response, metadata";

std::string write_metadata(const Metadata& metadata) {
  json::object object;
  for (const auto& [name, value] : metadata)
    object[name] = value;
  return json::write(object);
}

Metadata parse_metadata(std::string_view text) {
  Metadata metadata;
  const auto parsed = json::parse(text);
  if (!parsed || !parsed->is_object()) {
    throw db::Error(db::ErrorKind::unavailable, "the metadata of a stored chat completion is damaged");
  }
  for (const auto& member : parsed->get_object()) {
    if (const json::string* value = member.value().if_string()) {
      metadata.emplace_back(std::string(member.key()), std::string(json::view(*value)));
    }
  }
  return metadata;
}

ChatCompletionRecord parse_record(const db::Row& row) {
  return {.id = row.get<CompletionId>(0),
          .created_at = row.get<UnixSeconds>(1),
          .model = row.get<std::string>(2),
          .request = row.get<std::string>(3),
          .response = row.get<std::string>(4),
          .metadata = parse_metadata(row.get<std::string_view>(5))};
}

void insert_metadata(db::Connection& connection, const Tenant& tenant, const CompletionId& id,
                     const Metadata& metadata) {
  for (const auto& [name, value] : metadata) {
    connection.execute(
        "INSERT INTO chat_completion_metadata (completion_id, organization_id, project_id, name, value) "
        "VALUES ($1, $2, $3, $4, $5)",
        {id, tenant.organization, tenant.project, name, value});
  }
}

void insert(db::Connection& connection, const Tenant& tenant, const NewChatCompletion& completion) {
  const ChatCompletionRecord& record = completion.record;
  connection.execute(
      "INSERT INTO chat_completions (id, organization_id, project_id, created_at, sequence, model, request, "
      "response, metadata) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
      {record.id, tenant.organization, tenant.project, record.created_at,
       next_sequence(connection, tenant, "chat_completions"), record.model, record.request, record.response,
       write_metadata(record.metadata)});
  for (std::size_t position = 0; position < completion.messages.size(); ++position) {
    connection.execute(
        "INSERT INTO chat_completion_messages (completion_id, organization_id, project_id, position, "
        "message) "
        "VALUES ($1, $2, $3, $4, $5)",
        {record.id, tenant.organization, tenant.project, position, completion.messages[position]});
  }
  insert_metadata(connection, tenant, record.id, record.metadata);
}

std::optional<ChatCompletionRecord> find_in(db::Connection& connection, const Tenant& tenant,
                                            const CompletionId& id) {
  const db::Rows rows = connection.query(
      "SELECT id, created_at, model, request, response, metadata FROM chat_completions "
      "WHERE id = $1 AND organization_id = $2 AND project_id = $3",
      {id, tenant.organization, tenant.project});
  if (rows.empty()) return std::nullopt;
  return parse_record(rows[0]);
}

Page<ChatCompletionRecord> list_in(db::Connection& connection, const Tenant& tenant,
                                   const ChatCompletionFilter& filter, const PageRequest& page) {
  PagedSelect select(record_columns, "chat_completions", {"created_at", "sequence"});
  select.where("organization_id = {}", tenant.organization).where("project_id = {}", tenant.project);
  if (filter.model) select.where("model = {}", *filter.model);
  for (const auto& [name, value] : filter.metadata) {
    select.where(
        "EXISTS (SELECT 1 FROM chat_completion_metadata m WHERE m.completion_id = chat_completions.id "
        "AND m.name = {} AND m.value = {})",
        {name, value});
  }
  return select.read<ChatCompletionRecord>(connection, page, "id", page.after, parse_record);
}

// The position in a message's id, or -1, where no message is, when it is not an id of this completion.
std::int64_t parse_message_position(std::string_view message_id, const CompletionId& completion) {
  const std::string prefix = completion.str() + "-";
  if (!message_id.starts_with(prefix)) return -1;
  message_id.remove_prefix(prefix.size());
  std::int64_t position = -1;
  const auto [end, error] =
      std::from_chars(message_id.data(), message_id.data() + message_id.size(), position);
  return error == std::errc() && end == message_id.data() + message_id.size() ? position : -1;
}

std::optional<Page<ChatCompletionMessage>> list_messages_in(db::Connection& connection, const Tenant& tenant,
                                                            const CompletionId& id, const PageRequest& page) {
  const db::Rows completion = connection.query(
      "SELECT 1 FROM chat_completions WHERE id = $1 AND organization_id = $2 AND project_id = $3",
      {id, tenant.organization, tenant.project});
  if (completion.empty()) return std::nullopt;
  PagedSelect select("position, message", "chat_completion_messages", {"position"});
  select.where("completion_id = {}", id)
      .where("organization_id = {}", tenant.organization)
      .where("project_id = {}", tenant.project);
  std::optional<std::int64_t> cursor;
  if (page.after) cursor = parse_message_position(*page.after, id);
  return select.read<ChatCompletionMessage>(connection, page, "position", cursor, [&id](const db::Row& row) {
    return ChatCompletionMessage{fmt::format("{}-{}", id.str(), row.get<std::int64_t>(0)),
                                 row.get<std::string>(1)};
  });
}

}  // namespace

Task<void> ChatCompletions::create(Tenant tenant, NewChatCompletion completion) {
  // By reference: this coroutine outlives the work that it waits for.
  co_await database_.write(tenant.organization,
                           [&](db::Connection& connection) { insert(connection, tenant, completion); });
}

Task<std::optional<ChatCompletionRecord>> ChatCompletions::find(Tenant tenant, CompletionId id) {
  co_return co_await database_.read(
      [&](db::Connection& connection) { return find_in(connection, tenant, id); });
}

Task<Page<ChatCompletionRecord>> ChatCompletions::list(Tenant tenant, ChatCompletionFilter filter,
                                                       PageRequest page) {
  co_return co_await database_.read(
      [&](db::Connection& connection) { return list_in(connection, tenant, filter, page); });
}

Task<std::optional<ChatCompletionRecord>> ChatCompletions::update_metadata(Tenant tenant, CompletionId id,
                                                                           Metadata metadata) {
  co_return co_await database_.write(
      tenant.organization, [&](db::Connection& connection) -> std::optional<ChatCompletionRecord> {
        const std::int64_t changed = connection.execute(
            "UPDATE chat_completions SET metadata = $1 "
            "WHERE id = $2 AND organization_id = $3 AND project_id = $4",
            {write_metadata(metadata), id, tenant.organization, tenant.project});
        if (changed == 0) return std::nullopt;
        connection.execute(
            "DELETE FROM chat_completion_metadata "
            "WHERE completion_id = $1 AND organization_id = $2 AND project_id = $3",
            {id, tenant.organization, tenant.project});
        insert_metadata(connection, tenant, id, metadata);
        return find_in(connection, tenant, id);
      });
}

Task<bool> ChatCompletions::remove(Tenant tenant, CompletionId id) {
  co_return co_await database_.write(tenant.organization, [&](db::Connection& connection) {
    return connection.execute(
               "DELETE FROM chat_completions WHERE id = $1 AND organization_id = $2 AND project_id = $3",
               {id, tenant.organization, tenant.project}) == 1;
  });
}

Task<std::optional<Page<ChatCompletionMessage>>> ChatCompletions::list_messages(Tenant tenant,
                                                                                CompletionId id,
                                                                                PageRequest page) {
  co_return co_await database_.read(
      [&](db::Connection& connection) { return list_messages_in(connection, tenant, id, page); });
}

}  // namespace hearth::store
