// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/storage.hpp>

#include <cstdint>
#include <memory>

#include "os/mapping.hpp"

namespace hoist::detail::ipc {

/// For `allocate_large`: zeros in a memory file of their own; null where there is no memory for it.
std::shared_ptr<Storage> allocate_shared(std::size_t bytes);
/// Whether that or allocate_for_processes made it.
bool is_born_shared(const Storage& storage);

/// Storage that maps a part of a file.
std::shared_ptr<Storage> map_segment(int fd, std::uint64_t offset, std::size_t bytes, os::MapAs as);

}  // namespace hoist::detail::ipc
