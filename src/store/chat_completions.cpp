#include "store/chat_completions.hpp"

#include "store/change.hpp"
#include "store/columns.hpp"

namespace hearth::store {

namespace {

using Record = ChatCompletionRecord;

constexpr std::string_view messages_table = "chat_completion_messages";
constexpr std::string_view message_id = "completion_id || '-' || position";
constexpr std::string_view metadata_table = "chat_completion_metadata";
constexpr Columns completions{{.table = "chat_completions", .missing = Rule::completion_exists},
                              Column{"id", &Record::id},
                              Column{"created_at", &Record::created_at},
                              Column{"model", &Record::model},
                              Column{"request", &Record::request},
                              Column{"response", &Record::response},
                              Column{"metadata", &Record::metadata}};

void insert_metadata(db::Connection& connection, const Tenant& tenant, const CompletionId& id,
                     const Metadata& metadata) {
  for (const auto& [name, value] : metadata)
    insert(connection, metadata_table,
           within(tenant, {{"completion_id", id}, {"name", name}, {"value", value}}));
}

}  // namespace

// By reference, as everywhere below: a coroutine outlives the work that it waits for.
Task<void> ChatCompletions::create(Tenant tenant, NewChatCompletion completion) {
  co_await database_.write(tenant.organization, [&](db::Connection& connection) {
    const Record& record = completion.record;
    completions.insert(connection, tenant, record);
    for (std::size_t position = 0; position < completion.messages.size(); ++position)
      insert(connection, messages_table,
             within(tenant, {{"completion_id", record.id},
                             {"position", position},
                             {"message", completion.messages[position]}}));
    insert_metadata(connection, tenant, record.id, record.metadata);
  });
}

Task<Outcome<Record>> ChatCompletions::get(Tenant tenant, CompletionId id) {
  co_return co_await settle(
      database_.read([&](db::Connection& connection) { return completions.get(connection, tenant, id); }));
}

Task<Page<Record>> ChatCompletions::list(Tenant tenant, ChatCompletionFilter filter, PageRequest page) {
  co_return co_await database_.read([&](db::Connection& connection) {
    return completions.list(connection, tenant, page, [&](PagedSelect& select) {
      if (filter.model) select.where("model = {}", *filter.model);
      for (const auto& [name, value] : filter.metadata)
        select.where(
            "EXISTS (SELECT 1 FROM chat_completion_metadata m WHERE m.completion_id = "
            "chat_completions.id AND m.name = {} AND m.value = {})",
            {name, value});
    });
  });
}

Task<Outcome<Record>> ChatCompletions::update_metadata(Tenant tenant, CompletionId id, Metadata metadata) {
  co_return co_await settle(database_.write(tenant.organization, [&](db::Connection& connection) {
    Record record = completions.get(connection, tenant, id);
    completions.update(connection, tenant, id, {{"metadata", Kept<Metadata>::write(metadata)}});
    erase(connection, metadata_table, within(tenant, {{"completion_id", id}}));
    insert_metadata(connection, tenant, id, metadata);
    record.metadata = std::move(metadata);
    return record;
  }));
}

Task<Outcome<void>> ChatCompletions::remove(Tenant tenant, CompletionId id) {
  co_return co_await settle(database_.write(tenant.organization, [&](db::Connection& connection) {
    if (!completions.erase(connection, tenant, id)) refuse(Rule::completion_exists, id.str());
  }));
}

Task<Outcome<Page<ChatCompletionMessage>>> ChatCompletions::list_messages(Tenant tenant, CompletionId id,
                                                                          PageRequest page) {
  co_return co_await settle(database_.read([&](db::Connection& connection) {
    completions.get(connection, tenant, id);
    PagedSelect select("completion_id || '-' || position, message", messages_table, {"position"});
    for (const Field& field : within(tenant, {{"completion_id", id}}))
      select.where(std::string(field.column) + " = {}", field.value);
    return select.read<ChatCompletionMessage>(
        connection, page, message_id, page.after, [](const db::Row& row) {
          return ChatCompletionMessage{row.get<std::string>(0), row.get<std::string>(1)};
        });
  }));
}

}  // namespace hearth::store
