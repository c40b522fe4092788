// SPDX-License-Identifier: BSD-3-Clause
//
// A program without hoist that loads a library with hoist in it.
#include <dlfcn.h>

#include <cstdio>

int main() {
  void* const plugin = dlopen(PLUGIN, RTLD_NOW);
  if (plugin == nullptr) {
    std::fprintf(stderr, "%s\n", dlerror());
    return 2;
  }
  return reinterpret_cast<int (*)()>(dlsym(plugin, "run_loop"))();
}
