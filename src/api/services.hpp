// What handlers work with. Made by app/, outlives every session.
#pragma once

#include "base/clock.hpp"
#include "base/id.hpp"
#include "domain/client_certificates.hpp"
#include "domain/inference.hpp"
#include "domain/model_directory.hpp"
#include "store/certificates.hpp"
#include "store/chat_completions.hpp"
#include "store/keys.hpp"

namespace hearth::api {

struct Services {
  const Clock& clock;
  IdSource& ids;
  store::Keys& keys;
  store::ChatCompletions& chat_completions;
  domain::ModelDirectory& models;
  engine::Engines& engines;
  domain::Inference& inference;
  store::Certificates& certificates;
  domain::ClientCertificates& client_certificates;
};

}  // namespace hearth::api
