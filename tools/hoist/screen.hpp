// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <termios.h>

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

namespace hoist::tool {

/// The whole terminal, drawn anew again and again, as long as this exists; then it is as before. A
/// signal that would end the tool ends the waits instead. One at a time.
class Screen {
 public:
  Screen();
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;
  ~Screen();

  struct Size {
    std::size_t columns = 80;
    std::size_t rows = 24;
  };
  static Size size();

  /// Replaces what is to be seen. Lines that the terminal has no room for are left out.
  static void draw(const std::vector<std::string>& lines);
  /// Waits that long, or until the user wants to leave (q, Ctrl-C, a signal): then it returns
  /// false. Any other key ends the wait.
  bool wait(std::chrono::milliseconds time) const;

 private:
  termios before_{};
  bool has_keys_ = false;
};

}  // namespace hoist::tool
