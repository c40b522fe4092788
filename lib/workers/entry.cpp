// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/worker.hpp>

#include <dlfcn.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

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

}  // namespace

void worker_main(int, char**) {
  const int channel = channel_in(::environ);
  if (channel >= 0) detail::workers::run_worker(channel);
}

}  // namespace hoist

#if defined(__GLIBC__)

// The function of the C library that calls main. This one comes before it in the order in which
// symbols are looked up, so a worker gets here after the program's file is loaded as for any start,
// and takes the place of main: static objects are there, main's side effects are not.

namespace {

using Main = int (*)(int, char**, char**);
using StartMain = int (*)(Main, int, char**, void (*)(), void (*)(), void (*)(), void*);

int worker_instead_of_main(int, char**, char** environment) {
  hoist::detail::workers::run_worker(hoist::channel_in(environment));
}

}  // namespace

extern "C" __attribute__((visibility("default"))) int __libc_start_main(Main main, int argc,
                                                                        char** argv, void (*init)(),
                                                                        void (*fini)(),
                                                                        void (*rtld_fini)(),
                                                                        void* stack_end) {
  const auto real = reinterpret_cast<StartMain>(::dlsym(RTLD_NEXT, "__libc_start_main"));
  if (real == nullptr) ::_exit(127);
  // The environment lies behind the arguments; `environ` may not be set yet.
  if (hoist::channel_in(argv + argc + 1) >= 0) main = &worker_instead_of_main;
  return real(main, argc, argv, init, fini, rtld_fini, stack_end);
}

#endif
