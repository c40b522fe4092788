// SPDX-License-Identifier: BSD-3-Clause
#include "os/thread_settings.hpp"

namespace hoist::detail::os {

namespace {

void enter(const ThreadSettings& settings) {
  std::fesetenv(&settings.floats);
  ::pthread_sigmask(SIG_SETMASK, &settings.blocked, nullptr);
}

}  // namespace

std::fenv_t float_mode() {
  std::fenv_t mode;
  std::fegetenv(&mode);
#if defined(__x86_64__)
  // An exception that has occurred would trap at once where it is set together with its trap.
  constexpr unsigned flags = FE_ALL_EXCEPT | 2;  // 2: a subnormal operand
  mode.__status_word = static_cast<unsigned short>(mode.__status_word & ~flags);
  mode.__mxcsr &= ~flags;
#endif
  return mode;
}

ThreadSettings ThreadSettings::of_this_thread() {
  ThreadSettings settings;
  settings.floats = float_mode();
  ::pthread_sigmask(SIG_SETMASK, nullptr, &settings.blocked);
  return settings;
}

ThreadSettingsScope::ThreadSettingsScope(const ThreadSettings& settings)
    : before_(ThreadSettings::of_this_thread()) {
  enter(settings);
}

ThreadSettingsScope::~ThreadSettingsScope() { enter(before_); }

}  // namespace hoist::detail::os
