// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/error.hpp>
#include <hoist/worker.hpp>

#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "program/interpose.hpp"
#include "workers/hosted_entry.hpp"
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
  detail::workers::run_worker(channel_in(environment), false);
}

constinit bool had_the_choice = false;

const detail::workers::HostedEntry the_hosted_entry{
    .run = [] { detail::workers::run_worker(channel_in(::environ), true); }};

}  // namespace

void worker_main(int, char**) {
  had_the_choice = true;
  const int channel = channel_in(::environ);
  if (channel >= 0) detail::workers::run_worker(channel, false);
}

namespace detail::workers {

bool can_become_worker() { return had_the_choice; }

const HostedEntry& hosted_entry() { return the_hosted_entry; }

void check_can_have_workers() {
  // A worker loop removes the variable from its environment.
  if (channel_in(::environ) < 0) return;
  throw BadArgument(
      "this process was started as a worker, but runs the program: it would start workers that "
      "start workers. Make hoist::worker_main(argc, argv) the first statement of main, and start "
      "no worker before main, from the constructor of a static object");
}

}  // namespace detail::workers

// Main is replaced before the program starts. So its static objects are made as for any start, then
// the worker runs, and main's side effects do not happen.
detail::program::ProgramMain detail::program::hoist_choose_main(ProgramMain main,
                                                                char** environment) {
  had_the_choice = true;
  return channel_in(environment) >= 0 ? &worker_instead_of_main : main;
}

}  // namespace hoist
