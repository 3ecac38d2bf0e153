// What handlers work with, in groups. Made by app/, outlives every session.
#pragma once

#include "base/clock.hpp"
#include "base/id.hpp"
#include "domain/client_certificates.hpp"
#include "domain/inference.hpp"
#include "domain/invitations.hpp"
#include "domain/logins.hpp"
#include "domain/metered_call.hpp"
#include "domain/model_directory.hpp"
#include "domain/rate_limiter.hpp"
#include "jobs/runner.hpp"
#include "store/access_epoch.hpp"
#include "store/administration.hpp"
#include "store/audit_logs.hpp"
#include "store/blobs/blob_store.hpp"
#include "store/certificates.hpp"
#include "store/chat_completions.hpp"
#include "store/keys.hpp"
#include "store/personal_keys.hpp"
#include "store/rate_limits.hpp"
#include "store/usage.hpp"

namespace hearth::api {

// The identity of programs and people.
struct IdentityServices {
  store::AccessEpoch& epoch;
  store::Keys& keys;
  domain::ClientCertificates& client_certificates;
  domain::Logins& logins;
  store::PersonalKeys& personal_keys;
};

// What administrators of an organization see and change.
struct OrganizationServices {
  store::Projects& projects;
  store::Users& users;
  store::Invites& invites;
  store::ProjectUsers& project_users;
  store::ServiceAccounts& service_accounts;
  store::KeyDirectory& keys;
  domain::Invitations& invitations;
  store::Certificates& certificates;
  store::RateLimits& rate_limits;
  store::AuditLogs& audit_logs;
};

// Models, and whoever computes them.
struct ModelServices {
  domain::ModelDirectory& directory;
  engine::Engines& engines;
  domain::Inference& inference;
};

// What the work of models may cost, and has cost.
struct MeteringServices {
  domain::Metering& calls;
  domain::RateLimiter& rate_limiter;
  store::Usage& usage;
  std::string currency;  // of every price, cost and budget
};

// What projects keep.
struct ObjectServices {
  store::ChatCompletions& chat_completions;
  store::BlobStore& blobs;
};

struct Services {
  const Clock& clock;
  IdSource& ids;
  IdentityServices identity;
  OrganizationServices organization;
  ModelServices models;
  MeteringServices metering;
  ObjectServices objects;
  jobs::Runner& jobs;
};

}  // namespace hearth::api
