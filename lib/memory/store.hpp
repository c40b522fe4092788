// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/error.hpp>
#include <hoist/memory.hpp>
#include <hoist/store.hpp>

#include <cerrno>
#include <exception>
#include <memory>
#include <optional>
#include <string>

namespace hoist::detail::os {
class FileLayer;
}

namespace hoist::detail::memory {

/// Entries of one directory may belong to several users: that one must not be removed keeps nobody
/// from the others. It is said at the end.
class Removals {
 public:
  /// What `remove` returns; nothing where this entry must not be removed. Throws its other errors.
  template <class Remove>
  std::optional<bool> try_one(const Remove& remove) {
    try {
      return remove();
    } catch (const SystemError& error) {
      if (error.code() != EACCES && error.code() != EPERM) throw;
      if (!refused_) refused_ = std::current_exception();
      return std::nullopt;
    }
  }
  /// Throws the first refusal, if there was one.
  void finish() const {
    if (refused_) std::rethrow_exception(refused_);
  }

 private:
  std::exception_ptr refused_;
};

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
