// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/store.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "os/file_layer.hpp"

namespace hoist::detail::memory {

/// Waits for and takes the lock number `number` of the lock file at `path`, which is created if
/// need be. Locks are ranges of one byte of that file, held by an open file description: the kernel
/// keeps them apart between threads as between processes and frees them when the holder dies, and
/// no file per key is left behind. Null if the file can't be made or its file system has no locks;
/// `errno` then tells which.
/// Without `wait`, null with EAGAIN where another one holds it.
std::unique_ptr<StoreLock> lock_key(os::FileLayer& files, const std::string& path,
                                    std::uint64_t number, bool wait = true);

/// Announces in the file at `path` that a caller that holds the locks `held` waits for `wanted`;
/// null if whoever holds that waits in turn for one of them, or if the file can't tell. Shared
/// locks are what says it: one at offset "held, wanted", 31 bits each. They are seen by all
/// processes, and end with the one that made them. Of several callers that complete a circle at
/// once, the last to announce sees all of it.
std::unique_ptr<StoreWait> announce_key_wait(os::FileLayer& files, const std::string& path,
                                             const std::vector<std::uint64_t>& held,
                                             std::uint64_t wanted);

}  // namespace hoist::detail::memory
