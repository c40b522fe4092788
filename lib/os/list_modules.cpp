// SPDX-License-Identifier: BSD-3-Clause
#include "os/list_modules.hpp"

#include <link.h>

#include <mutex>

#include "os/fork_hook.hpp"

namespace hoist::detail::os {

namespace {

/// Held around every look at the list, and by forks.
std::mutex& list_mutex() {
  // Never destroyed: destructors of static objects look too.
  static std::mutex* const instance = [] {
    auto* created = new std::mutex;
    ForkHook::keep(*created);
    return created;
  }();
  return *instance;
}

}  // namespace

LoadCounts load_counts() {
  LoadCounts counts;
  list_modules(
      [](dl_phdr_info* info, std::size_t, void* to) {
        *static_cast<LoadCounts*>(to) = {.loaded = info->dlpi_adds, .unloaded = info->dlpi_subs};
        return 1;
      },
      &counts);
  return counts;
}

void list_modules(int (*visit)(dl_phdr_info*, std::size_t, void*), void* context) {
  const std::lock_guard lock(list_mutex());
  ::dl_iterate_phdr(visit, context);
}

}  // namespace hoist::detail::os
