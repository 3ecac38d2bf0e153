// Chat completions that were made with `store`.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/id.hpp"
#include "db/database.hpp"
#include "store/metadata.hpp"
#include "store/page.hpp"

namespace hearth::store {

struct ChatCompletionRecord {
  CompletionId id;
  UnixSeconds created_at = 0;
  std::string model;
  std::string request;   // JSON: the parameters to show again
  std::string response;  // JSON: the reply as it was sent
  Metadata metadata;
};

struct NewChatCompletion {
  ChatCompletionRecord record;
  std::vector<std::string> messages;  // JSON, one per message, in order
};

struct ChatCompletionMessage {
  std::string id;       // "<completion id>-<position>"
  std::string message;  // JSON, without the id
};

struct ChatCompletionFilter {
  std::optional<std::string> model;
  Metadata metadata;  // all of these pairs
};

// Thread: any. What belongs to another tenant is not found: Refusal completion_exists.
class ChatCompletions {
 public:
  explicit ChatCompletions(db::Database& database) : database_(database) {}

  // Durable when it returns. The id must be new (db::Error(constraint) otherwise).
  Task<void> create(Tenant tenant, NewChatCompletion completion);
  Task<Outcome<ChatCompletionRecord>> get(Tenant tenant, CompletionId id);
  // In the order of creation. ApiError 400 when `page.after` is not in the filtered list.
  Task<Page<ChatCompletionRecord>> list(Tenant tenant, ChatCompletionFilter filter, PageRequest page);
  // Replaces all of it; what is stored then.
  Task<Outcome<ChatCompletionRecord>> update_metadata(Tenant tenant, CompletionId id, Metadata metadata);
  Task<Outcome<void>> remove(Tenant tenant, CompletionId id);
  // ApiError 400 when `page.after` is not one of its messages.
  Task<Outcome<Page<ChatCompletionMessage>>> list_messages(Tenant tenant, CompletionId id, PageRequest page);

 private:
  db::Database& database_;
};

}  // namespace hearth::store
