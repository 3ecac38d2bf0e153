// The command line: `hearth serve | config | models | openapi | version`.
#pragma once

namespace hearth::app {

// Thread: the main one. Returns the exit status: 0 done, 1 failed, 2 wrong usage or configuration. Failures
// are one line on standard error; never throws.
int run_cli(int argc, const char* const* argv);

}  // namespace hearth::app
