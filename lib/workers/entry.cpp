// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/error.hpp>
#include <hoist/worker.hpp>

#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <utility>

#include "program/interpose.hpp"
#include "workers/hosted_entry.hpp"
#include "workers/launch.hpp"
#include "workers/worker_loop.hpp"

namespace hoist {

namespace {

/// The number that a variable has; -1 where there is none.
int number_in(char** environment, const char* variable) {
  const std::size_t n = std::strlen(variable);
  for (char** at = environment; at != nullptr && *at != nullptr; ++at) {
    if (std::strncmp(*at, variable, n) == 0 && (*at)[n] == '=') return std::atoi(*at + n + 1);
  }
  return -1;
}

/// Whether the environment says that this process is a worker or a Process.
bool has_channel(char** environment) {
  return number_in(environment, detail::workers::worker_variable) >= 0 ||
         number_in(environment, detail::workers::process_variable) >= 0;
}

[[noreturn]] void run_as_told(char** environment, bool is_hosted) {
  const int process = number_in(environment, detail::workers::process_variable);
  if (process >= 0 && detail::workers::run_process != nullptr) {
    detail::workers::run_process(process, is_hosted);
  }
  detail::workers::run_worker(number_in(environment, detail::workers::worker_variable), is_hosted);
}

int worker_instead_of_main(int, char**, char** environment) { run_as_told(environment, false); }

constinit bool had_the_choice = false;
constinit detail::workers::BeforeMain* before_main = nullptr;
constinit detail::program::ProgramMain program_main = nullptr;

int main_unless_told(int argc, char** argv, char** environment) {
  for (auto* at = before_main; at != nullptr; at = at->next) at->call();
  return program_main(argc, argv, environment);
}

const detail::workers::HostedEntry the_hosted_entry{.run = [] { run_as_told(::environ, true); }};

}  // namespace

void worker_main(int, char**) {
  had_the_choice = true;
  if (has_channel(::environ)) run_as_told(::environ, false);
}

namespace detail::workers {

constinit RunProcess run_process = nullptr;

void add_before_main(BeforeMain& what) { what.next = std::exchange(before_main, &what); }

bool can_become_worker() { return had_the_choice; }

const HostedEntry& hosted_entry() { return the_hosted_entry; }

void check_can_have_workers() {
  // Who has become one removes the variable from its environment.
  if (!has_channel(::environ)) return;
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
  if (has_channel(environment)) return &worker_instead_of_main;
  // What there is to do is only known once the static objects are made.
  program_main = main;
  return &main_unless_told;
}

}  // namespace hoist
