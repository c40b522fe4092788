// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <stdexcept>

namespace support {

/// How a task ends that does not return.
enum class End : int {
  throws,
  exits,
  exits_hard,
  aborts,
  segfaults,
  is_killed,
  is_out_of_memory,
};

/// Comes to that end.
inline void meet(End end) {
  switch (end) {
    case End::throws: throw std::domain_error("thrown");
    case End::exits: std::fprintf(stderr, "last words of a test\n"); std::exit(42);
    case End::exits_hard: ::_exit(43);
    case End::aborts: std::abort();
    case End::segfaults:
      std::signal(SIGSEGV, SIG_DFL);  // a sanitizer's handler would make an exit of it
      std::raise(SIGSEGV);
      break;
    case End::is_killed: std::raise(SIGKILL); break;
    case End::is_out_of_memory: throw std::bad_alloc();
  }
}

}  // namespace support
