// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <sys/types.h>

#include "os/file.hpp"

namespace hoist::detail::os {

/// Opens a descriptor of a process, which becomes readable when the process ends. Empty, with errno
/// set, on failure.
Fd open_pidfd(pid_t pid) noexcept;

}  // namespace hoist::detail::os
