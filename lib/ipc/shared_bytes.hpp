// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/storage.hpp>

#include <memory>

namespace hoist::detail::ipc {

/// For `allocate_large`: storage in a memory file; null where there is no memory for it.
std::shared_ptr<Storage> allocate_shared(std::size_t bytes);
/// Whether allocate_shared made it.
bool is_born_shared(const Storage& storage);

}  // namespace hoist::detail::ipc
