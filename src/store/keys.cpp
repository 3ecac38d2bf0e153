#include "store/keys.hpp"

#include <array>
#include <chrono>
#include <utility>

#include <fmt/format.h>

#include "async/deadline.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "store/roles.hpp"
#include "store/sequence.hpp"

namespace hearth::store {
namespace {

constexpr std::size_t secret_length = 48;
constexpr std::size_t max_cached_keys = 10'000;
constexpr std::chrono::seconds use_resolution{60};

struct KindText {
  KeyKind kind;
  std::string_view name;    // in the database
  std::string_view prefix;  // of the secret
};
constexpr std::array kinds{
    KindText{KeyKind::project, "project", "sk-proj-"},
    KindText{KeyKind::admin, "admin", "sk-admin-"},
    KindText{KeyKind::service_account, "service_account", "sk-svcacct-"},
    KindText{KeyKind::ephemeral, "ephemeral", "ek_"},
};

const KindText& text_of(KeyKind kind) {
  for (const KindText& text : kinds) {
    if (text.kind == kind) return text;
  }
  std::unreachable();
}

KeyKind parse_kind(std::string_view name) {
  for (const KindText& text : kinds) {
    if (text.name == name) return text.kind;
  }
  throw db::Error(db::ErrorKind::statement, fmt::format("unknown kind of key: {}", name));
}

KeyRecord parse_key(const db::Row& row) {
  KeyRecord record{.id = row.get<KeyId>(0),
                   .organization = row.get<OrganizationId>(1),
                   .project = row.get<std::optional<ProjectId>>(2),
                   .kind = parse_kind(row.get<std::string_view>(3)),
                   .name = row.get<std::string>(4),
                   .redacted_value = row.get<std::string>(7),
                   .created_at = row.get<UnixSeconds>(8),
                   .last_used_at = row.get<std::optional<UnixSeconds>>(9),
                   .expires_at = row.get<std::optional<UnixSeconds>>(10)};
  record.owner.kind = parse_owner_kind(row.get<std::string_view>(5));
  record.owner.id = row.get<std::string>(6);
  return record;
}

// Fills in who the owner is now; false when there is no such user or service account any more.
bool complete_owner(db::Connection& connection, const OrganizationId& organization, Owner& owner) {
  if (owner.kind == OwnerKind::service_account) {
    const db::Rows rows = connection.query(
        "SELECT name, project_id, role, administers FROM service_accounts "
        "WHERE id = $1 AND organization_id = $2",
        {owner.id, organization});
    if (rows.empty()) return false;
    owner.name = rows[0].get<std::string>(0);
    owner.projects.emplace(rows[0].get<ProjectId>(1), parse_project_role(rows[0].get<std::string_view>(2)));
    if (rows[0].get<bool>(3)) owner.role = contract::OrganizationRole::owner;
    return true;
  }
  const db::Rows rows = connection.query(
      "SELECT name, email, role FROM users WHERE id = $1 AND organization_id = $2", {owner.id, organization});
  if (rows.empty()) return false;
  owner.name = rows[0].get<std::string>(0);
  owner.email = rows[0].get<std::string>(1);
  owner.role = parse_organization_role(rows[0].get<std::string_view>(2));
  for (const db::Row row : connection.query(
           "SELECT project_id, role FROM project_users WHERE user_id = $1 AND organization_id = $2",
           {owner.id, organization})) {
    owner.projects.emplace(row.get<ProjectId>(0), parse_project_role(row.get<std::string_view>(1)));
  }
  return true;
}

std::optional<KeyRecord> find_active(db::Connection& connection, const std::string& hash) {
  const db::Rows rows = connection.query(
      "SELECT k.id, k.organization_id, k.project_id, k.kind, k.name, k.owner_kind, k.owner, "
      "k.redacted_value, "
      "k.created_at, k.last_used_at, k.expires_at FROM api_keys k LEFT JOIN projects p ON p.id = "
      "k.project_id "
      "WHERE k.hash = $1 AND k.revoked_at IS NULL AND (k.project_id IS NULL OR p.status = 'active')",
      {hash});
  if (rows.empty()) return std::nullopt;
  KeyRecord record = parse_key(rows[0]);
  if (!complete_owner(connection, record.organization, record.owner)) return std::nullopt;
  const bool at_home = !record.project || record.owner.role == contract::OrganizationRole::owner ||
                       record.owner.projects.contains(*record.project);
  if (!at_home) return std::nullopt;
  return record;
}

}  // namespace

Task<std::shared_ptr<const contract::Principal>> Keys::find_by_secret(std::string_view secret,
                                                                      std::uint64_t epoch) {
  const KeyedHash::Digest digest = hash_(secret);
  {
    std::lock_guard lock(mutex_);
    const auto found = cache_.find(digest);
    if (found != cache_.end() && found->second.epoch == epoch) co_return use(found->second);
  }
  auto record = co_await database_.read_first([hash = text::sha256_hex(secret)](db::Connection& connection) {
    return find_active(connection, hash);
  });
  std::lock_guard lock(mutex_);
  if (!record) {  // not remembered: whoever sends random secrets must not fill the memory
    cache_.erase(digest);
    co_return nullptr;
  }
  if (cache_.size() >= max_cached_keys) cache_.clear();
  Entry& entry = cache_[digest];
  entry = {.principal = std::make_shared<const contract::Principal>(
               std::move(record->id), record->kind, std::move(record->organization),
               std::move(record->project), std::move(record->owner)),
           .expires_at = record->expires_at,
           .last_used_at = record->last_used_at,
           .epoch = epoch};
  co_return use(entry);
}

std::shared_ptr<const contract::Principal> Keys::use(Entry& entry) {
  const UnixSeconds now = clock_.unix_now();
  if (entry.expires_at && *entry.expires_at <= now) return nullptr;
  if (!entry.last_used_at || now - *entry.last_used_at >= use_resolution.count()) {
    entry.last_used_at = now;
    unsaved_.insert_or_assign(entry.principal->key, Use{entry.principal->organization, now});
  }
  return entry.principal;
}

Task<CreatedKey> Keys::create(NewKey key) {
  co_return co_await database_.write(
      key.organization, [&](db::Connection& connection) { return create_in(connection, clock_, ids_, key); });
}

CreatedKey Keys::create_in(db::Connection& connection, const Clock& clock, IdSource& ids, NewKey key) {
  const KindText& kind = text_of(key.kind);
  CreatedKey created;
  created.secret = fmt::format("{}{}", kind.prefix, ids.secret(secret_length));
  const std::string_view secret = created.secret;
  created.record = {.id = KeyId(ids.make("key_")),
                    .organization = std::move(key.organization),
                    .project = std::move(key.project),
                    .kind = key.kind,
                    .name = std::move(key.name),
                    .redacted_value = fmt::format("{}...{}", secret.substr(0, kind.prefix.size() + 3),
                                                  secret.substr(secret.size() - 4)),
                    .created_at = clock.unix_now(),
                    .expires_at = key.expires_at};
  KeyRecord& record = created.record;
  record.owner.kind = key.owner_kind;
  record.owner.id = std::move(key.owner);
  complete_owner(connection, record.organization, record.owner);
  connection.execute(
      "INSERT INTO api_keys (id, organization_id, project_id, kind, name, hash, redacted_value, owner_kind, "
      "owner, created_at, expires_at, sequence) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
      {record.id, record.organization, record.project, kind.name, record.name, text::sha256_hex(secret),
       record.redacted_value, kind_name(record.owner.kind), record.owner.id, record.created_at,
       record.expires_at, next_sequence(connection, record.organization, "api_keys")});
  return created;
}

bool Keys::revoke_in(db::Connection& connection, const Clock& clock, const OrganizationId& organization,
                     const KeyId& id) {
  AccessEpoch::advance_in(connection, organization);
  return connection.execute(
             "UPDATE api_keys SET revoked_at = $1 WHERE id = $2 AND organization_id = $3 AND revoked_at IS "
             "NULL",
             {clock.unix_now(), id, organization}) == 1;
}

std::optional<UnixSeconds> Keys::find_unsaved_use(const KeyId& id) {
  std::lock_guard lock(mutex_);
  const auto found = unsaved_.find(id);
  return found == unsaved_.end() ? std::nullopt : std::optional(found->second.at);
}

Task<void> Keys::record_uses() {
  for (;;) {
    co_await async::sleep_for(use_resolution);
    try {
      co_await flush_uses();
    } catch (const std::exception& failure) {
      log::warn("store.key_uses_not_written", {{"reason", failure.what()}});
    }
  }
}

Task<void> Keys::flush_uses() {
  std::unordered_map<KeyId, Use> uses;
  {
    std::lock_guard lock(mutex_);
    uses.swap(unsaved_);
  }
  if (uses.empty()) co_return;
  std::exception_ptr failure;
  try {
    db::WriteScope scope(uses.begin()->second.organization);
    for (const auto& [id, use] : uses)
      scope |= use.organization;
    co_await database_.write(std::move(scope), [&uses](db::Connection& connection) {
      for (const auto& [id, use] : uses) {
        connection.execute(
            "UPDATE api_keys SET last_used_at = $1 WHERE id = $2 AND (last_used_at IS NULL OR last_used_at < "
            "$1)",
            {use.at, id});
      }
    });
  } catch (...) {
    failure = std::current_exception();
  }
  if (!failure) co_return;
  {
    std::lock_guard lock(mutex_);
    unsaved_.merge(uses);  // what was noted meanwhile is newer and stays
  }
  std::rethrow_exception(failure);
}

}  // namespace hearth::store
