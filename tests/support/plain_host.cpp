// SPDX-License-Identifier: BSD-3-Clause
//
// A program without hoist that loads a library with hoist in it, its first argument, and has that
// run a spawn loop, its second.
#include <dlfcn.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>

#include "support/count_starts.hpp"

namespace {

int twice(int x) { return 2 * x; }

}  // namespace

int main(int argc, char** argv) {
  support::count_start();
  if (argc != 3) return 5;
  // By a relative path, and then with another working directory.
  const std::filesystem::path library = argv[1];
  if (::chdir(library.parent_path().c_str()) != 0) return 5;
  void* const plugin = ::dlopen(("./" + library.filename().string()).c_str(), RTLD_NOW);
  if (plugin == nullptr) {
    std::fprintf(stderr, "%s\n", ::dlerror());
    return 5;
  }
  if (::chdir("/") != 0) return 5;
  using Run = int (*)(const char*, int (*)(int));
  const auto run = reinterpret_cast<Run>(::dlsym(plugin, "run_loop"));
  return run == nullptr ? 5 : run(argv[2], &twice);
}
