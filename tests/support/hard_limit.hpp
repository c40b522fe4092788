// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <unistd.h>

#include <csignal>
#include <cstdlib>

#include "support/sanitized.hpp"

namespace support {

/// Ends the program, with a report of doctest, where a scope takes longer.
class HardLimit {
 public:
  explicit HardLimit(unsigned seconds = 40) {
    std::signal(SIGALRM, [](int) {
      constexpr char text[] = "the hard time limit of a test has passed\n";
      static_cast<void>(!::write(2, text, sizeof text - 1));
      std::abort();
    });
    ::alarm(sanitized ? seconds * 4 : seconds);
  }
  HardLimit(const HardLimit&) = delete;
  HardLimit& operator=(const HardLimit&) = delete;
  ~HardLimit() { ::alarm(0); }
};

}  // namespace support
