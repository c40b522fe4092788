// SPDX-License-Identifier: BSD-3-Clause
//
// A program without hoist that loads a library with hoist in it, and has that run a spawn loop.
#include <dlfcn.h>

#include <cstdio>

#include "support/count_starts.hpp"

int main() {
  support::count_start();
  void* const plugin = ::dlopen(HOIST_TEST_PLUGIN, RTLD_NOW);
  if (plugin == nullptr) {
    std::fprintf(stderr, "%s\n", ::dlerror());
    return 5;
  }
  const auto run = reinterpret_cast<int (*)()>(::dlsym(plugin, "run_loop"));
  return run == nullptr ? 5 : run();
}
