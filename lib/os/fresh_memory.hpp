// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <memory_resource>

#include "os/mapping.hpp"

namespace hoist::detail::os {

/// Memory that is new to the process, in huge pages where the kernel provides them: for tables that
/// are filled at once. The first touch of a page of 4 KiB costs 0.3 us and more, on some virtual
/// machines 30 us, that of a huge page (512 times as large) 50 to 200 us. Requests up to half a
/// huge page share one, which lives until the last of them is given back: ask for few. Thread-safe;
/// a child that fork made may use it. The first call must not be made while a mutex with a ForkHook
/// is held.
std::pmr::memory_resource* fresh_memory();

/// Lets the kernel enter [begin, begin + bytes) of a mapping into the page table, as far as it can
/// (since Linux 5.14): saves page faults, nothing else changes.
void populate(const void* begin, std::size_t bytes);

}  // namespace hoist::detail::os
