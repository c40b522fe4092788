// SPDX-License-Identifier: BSD-3-Clause
//
// The worker process for programs without hoist that have loaded a library with hoist in it. Loads
// that library and runs the worker loop in it, so it fits all versions of hoist. It uses nothing of
// the C++ run time: what the library defines in place of that (__cxa_throw) comes first.
#include <dlfcn.h>
#include <link.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "workers/hosted_entry.hpp"

using hoist::detail::workers::HostedEntry;

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fputs(
        "hoist-worker: hoist starts this program where a program without hoist has loaded a "
        "library "
        "with hoist\nin it; it is of no use by itself. See \"Programs without hoist\" in "
        "docs/guide/workers.md.\n",
        stderr);
    return 2;
  }
  // Lazily: the library may call functions of its program outside of tasks.
  void* const library = ::dlopen(argv[1], RTLD_LAZY | RTLD_LOCAL);
  if (library == nullptr) {
    std::fprintf(stderr, "hoist-worker: can't load the library without its program: %s\n",
                 ::dlerror());
    return 125;
  }
  link_map* linked = nullptr;
  ::dlinfo(library, RTLD_DI_LINKMAP, static_cast<void*>(&linked));
  const auto* const entry =
      reinterpret_cast<const HostedEntry*>(linked->l_addr + std::strtoull(argv[2], nullptr, 10));
  const HostedEntry expected;
  Dl_info info;
  void* owner = nullptr;
  if (::dladdr1(entry, &info, &owner, RTLD_DL_LINKMAP) == 0 || owner != linked ||
      std::memcmp(entry->text, expected.text, sizeof expected.text) != 0) {
    std::fprintf(stderr, "hoist-worker: \"%s\" was built anew since the program has loaded it\n",
                 argv[1]);
    return 125;
  }
  entry->run();
}
