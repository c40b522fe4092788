// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/store.hpp>

#include <cstdint>
#include <memory>
#include <string>

namespace hoist::detail {

/// Waits for and takes the lock number `number` of the lock file at `path`, which is created if
/// need be. Locks are ranges of one byte of that file, held by an open file description: the kernel
/// keeps them apart between threads as between processes and frees them when the holder dies, and
/// no file per key is left behind. Null if the file can't be made or its file system has no locks;
/// `errno` then tells which.
std::unique_ptr<StoreLock> lock_key(const std::string& path, std::uint64_t number);

}  // namespace hoist::detail
