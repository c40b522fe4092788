// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/storage.hpp>
#include <hoist/mmap_mode.hpp>

#include <cstdint>
#include <memory>

#include "os/file.hpp"

namespace hoist::detail::arrays {

/// Maps `bytes` at any `offset` of an open file; the mapping outlives the source. Throws
/// DamagedData if the file is shorter, SystemError if it can't be mapped or, for the modes that
/// write to it, opened for writing.
std::shared_ptr<Storage> map_file(const os::FileSource& file, std::uint64_t offset,
                                  std::size_t bytes, MmapMode mode);

}  // namespace hoist::detail::arrays
