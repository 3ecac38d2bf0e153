// `hearth serve`: makes the services in order, runs them, and takes them down in reverse.
#pragma once

#include "app/config.hpp"

namespace hearth::app {

enum class Welcome { silent, print };  // print: the keys and a snippet on standard output at the first start

// Thread: the main one. run() blocks until SIGTERM or SIGINT has drained the server; a second signal ends it
// at once.
class Server {
 public:
  Server(const Config& config, Welcome welcome) : config_(config), welcome_(welcome) {}
  // The process's exit status. Throws std::exception with a message for the terminal when it cannot start.
  int run();

 private:
  const Config& config_;
  Welcome welcome_;
};

}  // namespace hearth::app
