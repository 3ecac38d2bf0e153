#include "domain/blob_sweep.hpp"

#include <fmt/format.h>

#include "store/blob_rows.hpp"
#include "store/blobs/orphan_sweep.hpp"

namespace hearth::domain {

jobs::Kind BlobSweep::kind() {
  return {.name = "sweep_blobs", .handler = *this, .every = every_};
}

Task<jobs::Effect> BlobSweep::run(jobs::Execution& execution) {
  const store::SweptBlobs swept = co_await store::sweep_orphans(
      blobs_, clock_.unix_now(), grace, store::named_in(database_, store::blob_columns()));
  if (swept.orphans + swept.leftovers > 0) {
    execution.note("blobs.swept",
                   fmt::format("{} without a row, {} half-written", swept.orphans, swept.leftovers));
  }
  co_return jobs::Effect();
}

}  // namespace hearth::domain
