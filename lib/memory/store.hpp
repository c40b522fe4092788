// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/memory.hpp>
#include <hoist/store.hpp>

#include <memory>
#include <string>

namespace hoist::detail::os {
class FileLayer;
}

namespace hoist::detail::memory {

/// A store of the backend registered under that name. Throws BadArgument if there is none.
std::unique_ptr<StoreBackend> make_store(const std::string& name, const StoreConfig& config);

/// The store of entries as files.
std::unique_ptr<StoreBackend> make_local_store(const StoreConfig& config);
std::unique_ptr<StoreBackend> make_local_store(const StoreConfig& config, os::FileLayer& files);

/// The store of entries in this process's memory, one for each location.
std::unique_ptr<StoreBackend> make_memory_store(const StoreConfig& config);

/// A remote store with a local one in front, which is kept within the limits.
std::unique_ptr<StoreBackend> make_tiered_store(std::unique_ptr<StoreBackend> local,
                                                std::unique_ptr<StoreBackend> remote,
                                                const SizeLimits& limits);

}  // namespace hoist::detail::memory
