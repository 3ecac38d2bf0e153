// API keys: made, found by their secret, revoked.
//
// Only the SHA-256 of a secret is stored. A fast hash is enough: a secret is 48 random letters and digits
// (285 bits), so there is nothing to guess that a slow hash would protect.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/clock.hpp"
#include "base/id.hpp"
#include "contract/principal.hpp"
#include "db/database.hpp"
#include "store/access_epoch.hpp"
#include "store/keyed_hash.hpp"

namespace hearth::store {

using contract::KeyKind;
using contract::Owner;
using contract::OwnerKind;

struct KeyRecord {
  KeyId id;
  OrganizationId organization;
  std::optional<ProjectId> project;  // empty for admin keys
  KeyKind kind = KeyKind::project;
  std::string name;
  Owner owner;                 // the user or service account it acts for
  std::string redacted_value;  // "sk-proj-abc...wxyz"
  UnixSeconds created_at = 0;
  std::optional<UnixSeconds> last_used_at;
  std::optional<UnixSeconds> expires_at;  // of ephemeral keys
};

struct NewKey {
  OrganizationId organization;
  std::optional<ProjectId> project;  // set unless the kind is admin
  KeyKind kind = KeyKind::project;
  std::string name;
  OwnerKind owner_kind = OwnerKind::user;
  std::string owner;                                     // id of the user or the service account
  std::optional<UnixSeconds> expires_at = std::nullopt;  // set for ephemeral keys
};

struct CreatedKey {
  KeyRecord record;
  std::string secret;  // shown once, kept nowhere
};

// Thread: any. Owned by app/.
class Keys {
 public:
  Keys(db::Database& database, const Clock& clock, IdSource& ids)
      : database_(database), clock_(clock), ids_(ids) {}

  // For whom the key that `secret` belongs to acts, and what they may do; null when it is unknown, revoked or
  // past its end, its project is archived, or its owner is gone or no longer in the project. Kept in memory
  // until the access epoch, of which the caller tells the value, moves: a key that another process revoked a
  // moment ago is not found. Notes the use (see record_uses).
  Task<std::shared_ptr<const contract::Principal>> find_by_secret(std::string_view secret,
                                                                  std::uint64_t epoch);

  Task<CreatedKey> create(NewKey key);
  // For who writes more in the same transaction. Thread: the database's.
  static CreatedKey create_in(db::Connection& connection, const Clock& clock, IdSource& ids, NewKey key);

  // False when the organization has no such key or it was revoked before. Thread: the database's.
  static bool revoke_in(db::Connection& connection, const Clock& clock, const OrganizationId& organization,
                        const KeyId& id);

  // When this process saw the key used, where that is not written yet.
  std::optional<UnixSeconds> find_unsaved_use(const KeyId& id);

  // Writes the noted uses (`last_used_at`) once a minute until cancelled: app/ spawns it. A write that fails
  // is tried again the next minute.
  Task<void> record_uses();
  // Writes them now; app/ calls it last thing, after the listeners have stopped.
  Task<void> flush_uses();

 private:
  struct Entry {
    std::shared_ptr<const contract::Principal> principal;
    std::optional<UnixSeconds> expires_at;
    std::optional<UnixSeconds> last_used_at;  // as this process knows it
    std::uint64_t epoch = 0;                  // the access epoch under which it was read
  };

  struct Use {
    OrganizationId organization;
    UnixSeconds at = 0;
  };

  // Notes the use; null past the key's end. Under mutex_.
  std::shared_ptr<const contract::Principal> use(Entry& entry);

  db::Database& database_;
  const Clock& clock_;
  IdSource& ids_;
  const KeyedHash hash_;  // of a secret, for the cache: a request pays for no SHA-256
  std::mutex mutex_;
  std::unordered_map<KeyedHash::Digest, Entry, KeyedHash::Bucket> cache_;  // guarded by mutex_
  std::unordered_map<KeyId, Use> unsaved_;  // uses not yet written; guarded by mutex_
};

}  // namespace hearth::store
