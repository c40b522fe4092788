// SPDX-License-Identifier: BSD-3-Clause
#include "os/pidfd.hpp"

#include <sys/syscall.h>
#include <unistd.h>

namespace hoist::detail::os {

Fd open_pidfd(pid_t pid) noexcept {
  return Fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0U)));
}

}  // namespace hoist::detail::os
