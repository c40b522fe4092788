// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cfenv>
#include <csignal>

namespace hoist::detail::os {

/// How the calling thread computes with floating-point numbers: rounding, subnormals and traps,
/// without flags.
std::fenv_t float_mode();

/// What a thread has from the one that started it, and tasks expect of the thread they run in: how
/// it computes with floating-point numbers, and which signals it, and programs it starts, block.
struct ThreadSettings {
  std::fenv_t floats;
  sigset_t blocked;

  static ThreadSettings of_this_thread();
};

/// Gives the calling thread other settings until the end of the scope.
class ThreadSettingsScope {
 public:
  explicit ThreadSettingsScope(const ThreadSettings& settings);
  ~ThreadSettingsScope();
  ThreadSettingsScope(const ThreadSettingsScope&) = delete;
  ThreadSettingsScope& operator=(const ThreadSettingsScope&) = delete;

 private:
  const ThreadSettings before_;
};

}  // namespace hoist::detail::os
