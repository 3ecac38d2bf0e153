// What handlers work with. Made by app/, outlives every session.
#pragma once

#include "base/clock.hpp"
#include "base/id.hpp"
#include "domain/client_certificates.hpp"
#include "domain/inference.hpp"
#include "domain/invitations.hpp"
#include "domain/logins.hpp"
#include "domain/model_directory.hpp"
#include "domain/rate_limiter.hpp"
#include "domain/spend_limits.hpp"
#include "domain/usage_recorder.hpp"
#include "store/administration.hpp"
#include "store/audit_logs.hpp"
#include "store/certificates.hpp"
#include "store/chat_completions.hpp"
#include "store/keys.hpp"
#include "store/personal_keys.hpp"
#include "store/rate_limits.hpp"
#include "store/usage.hpp"

namespace hearth::api {

struct Services {
  const Clock& clock;
  IdSource& ids;
  store::Keys& keys;
  store::Administration& administration;
  domain::Invitations& invitations;
  domain::Logins& logins;
  store::PersonalKeys& personal_keys;
  store::ChatCompletions& chat_completions;
  store::AuditLogs& audit_logs;
  domain::ModelDirectory& models;
  engine::Engines& engines;
  domain::Inference& inference;
  store::Certificates& certificates;
  domain::ClientCertificates& client_certificates;
  store::Usage& usage;
  domain::UsageRecorder& usage_recorder;
  domain::SpendLimits& spend_limits;
  store::RateLimits& rate_limits;
  domain::RateLimiter& rate_limiter;
  domain::CostSettings costs;
};

}  // namespace hearth::api
