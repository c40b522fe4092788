// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/storage.hpp>

#include <filesystem>
#include <memory>
#include <span>

#include "base/file.hpp"

namespace hoist::detail {

/// The bytes in a memory file of their own (see memory_file). Throws SystemError.
Fd shared_copy(std::span<const std::byte> bytes, const std::filesystem::path& folder = {});

/// For `allocate_large`: storage in a memory file; null where there is no memory for it.
std::shared_ptr<Storage> allocate_shared(std::size_t bytes);
/// Whether allocate_shared made it.
bool is_born_shared(const Storage& storage);

}  // namespace hoist::detail
