// Removes bytes that no row names, in the background: those of requests that failed between the blob and its
// row, and those whose row was deleted.
#pragma once

#include <chrono>

#include "base/clock.hpp"
#include "db/database.hpp"
#include "jobs/handler.hpp"
#include "store/blobs/blob_store.hpp"

namespace hearth::domain {

// Owned by app/, outlives the runner. A run that is cut short begins anew: what it removed is gone already.
class BlobSweep final : public jobs::Handler {
 public:
  // How long a blob may wait for its row.
  static constexpr std::chrono::hours grace{24};

  BlobSweep(store::BlobStore& blobs, db::Database& database, const Clock& clock,
            std::chrono::milliseconds every)
      : blobs_(blobs), database_(database), clock_(clock), every_(every) {}

  jobs::Kind kind();
  Task<jobs::Effect> run(jobs::Execution& execution) override;

 private:
  store::BlobStore& blobs_;
  db::Database& database_;
  const Clock& clock_;
  std::chrono::milliseconds every_;
};

}  // namespace hearth::domain
