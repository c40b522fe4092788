// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

namespace hoist::detail::os {

/// Whether a number is the address of memory of this process. A system call (0.2 us) only for those
/// that could be.
bool is_mapped(std::uintptr_t address);

}  // namespace hoist::detail::os
