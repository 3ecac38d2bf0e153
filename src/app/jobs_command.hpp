// `hearth jobs`: the queue of background jobs, on the store itself.
//
// Works with or without a server beside it; a running one notices at once. Everything blocks. Results go to
// standard output; failures are thrown as std::exception with one line for the terminal.
#pragma once

#include <cstddef>
#include <string>

#include "app/config.hpp"

namespace hearth::app {

struct ListJobs {
  std::string kind;   // empty: all
  std::string state;  // empty: all
  std::size_t limit = 50;
};

void list_jobs(const Config& config, const ListJobs& request);
void show_job(const Config& config, const std::string& id);
void cancel_job(const Config& config, const std::string& id);
// A job that failed or was cancelled gets all its attempts anew, and goes on from its cursor.
void retry_job(const Config& config, const std::string& id);

}  // namespace hearth::app
