// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>

struct dl_phdr_info;

namespace hoist::detail::os {

// The dynamic linker's list of modules (the program and shared objects). glibc leaves its lock of
// this list as it is in a child that fork made: one made while another thread reads the list would
// wait for ever at its first look. So all of hoist reads it through these functions, and no fork
// takes place meanwhile. Both are thread-safe, and usable from initialisers that dlopen runs.

/// How many modules this process has loaded and unloaded so far.
struct LoadCounts {
  unsigned long long loaded = 0;
  unsigned long long unloaded = 0;

  friend bool operator==(const LoadCounts&, const LoadCounts&) = default;
};

/// The counts as of now. Some 50 ns.
LoadCounts load_counts();

/// dl_iterate_phdr: calls `visit` for each module in load order, until it returns other than 0. The
/// function must neither list modules nor load any.
void list_modules(int (*visit)(dl_phdr_info*, std::size_t, void*), void* context);

}  // namespace hoist::detail::os
