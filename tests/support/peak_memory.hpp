// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <malloc.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#include <fstream>
#include <new>
#include <string>

namespace support {

/// The value of a line of /proc/self/status, in bytes.
inline std::size_t status_bytes(const std::string& name) {
  std::ifstream in("/proc/self/status");
  for (std::string word; in >> word;) {
    std::size_t kib = 0;
    if (word == name && in >> kib) return kib << 10;
  }
  return 0;
}

/// The growth of a process's peak memory while it does `work`. The work runs in a forked child,
/// whose peak starts at its current memory. The largest number if the work throws.
template <class Work>
std::size_t peak_growth(Work work) {
  void* shared = ::mmap(nullptr, sizeof(std::size_t), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ::malloc_trim(0);  // or the child takes what is free here, and does not grow by it
  auto& grown = *new (shared) std::size_t(~std::size_t{0});
  const pid_t child = ::fork();
  if (child == 0) {
    try {
      const std::size_t before = status_bytes("VmRSS:");
      work();
      grown = status_bytes("VmHWM:") - before;
    } catch (...) {
    }
    ::_exit(0);
  }
  ::waitpid(child, nullptr, 0);
  const std::size_t result = grown;
  ::munmap(shared, sizeof(std::size_t));
  return result;
}

}  // namespace support
