// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/storage.hpp>

#include <cstdint>
#include <memory>

#include "os/file.hpp"
#include "os/mapping.hpp"

namespace hoist::detail::ipc {

/// For `allocate_large`: zeros in a memory file of their own; null where there is no memory for it.
std::shared_ptr<Storage> allocate_shared(std::size_t bytes);
/// Whether that or allocate_for_processes made it.
bool is_born_shared(const Storage& storage);

/// Storage of no bytes that is passed to other processes as the descriptor it keeps. Throws
/// SystemError where too many are kept.
std::shared_ptr<Storage> keep_descriptor(os::Fd fd);
/// As allocate_for_processes, but only the first `reserved` bytes are there: the others have to be
/// set aside (os::reserve_space) before they are touched.
std::shared_ptr<Storage> allocate_growing(const char* name, std::size_t bytes,
                                          std::size_t reserved);

/// Storage that maps a part of a file.
std::shared_ptr<Storage> map_segment(int fd, std::uint64_t offset, std::size_t bytes, os::MapAs as);

}  // namespace hoist::detail::ipc
