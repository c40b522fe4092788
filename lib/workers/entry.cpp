// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/error.hpp>
#include <hoist/worker.hpp>

#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "program/interpose.hpp"
#include "workers/launch.hpp"
#include "workers/worker_loop.hpp"

namespace hoist {

namespace {

/// The channel's descriptor, if the environment says that this process is a worker.
int channel_in(char** environment) {
  const std::size_t n = std::strlen(detail::workers::worker_variable);
  for (char** at = environment; at != nullptr && *at != nullptr; ++at) {
    if (std::strncmp(*at, detail::workers::worker_variable, n) == 0 && (*at)[n] == '=') {
      return std::atoi(*at + n + 1);
    }
  }
  return -1;
}

int worker_instead_of_main(int, char**, char** environment) {
  detail::workers::run_worker(channel_in(environment));
}

}  // namespace

void worker_main(int, char**) {
  const int channel = channel_in(::environ);
  if (channel >= 0) detail::workers::run_worker(channel);
}

namespace detail::workers {

void check_can_have_workers() {
  // A worker loop removes the variable from its environment.
  if (channel_in(::environ) < 0) return;
  throw BadArgument(
      "this process was started as a worker, but runs the program: it would start workers that "
      "start workers. Make hoist::worker_main(argc, argv) the first statement of main, also in a "
      "program that only loads a library with hoist in it, and start no worker before main, from "
      "the constructor of a static object");
}

}  // namespace detail::workers

// Main is replaced before the program starts. So its static objects are made as for any start, then
// the worker runs, and main's side effects do not happen.
detail::program::ProgramMain detail::program::hoist_choose_main(ProgramMain main,
                                                                char** environment) {
  return channel_in(environment) >= 0 ? &worker_instead_of_main : main;
}

}  // namespace hoist
