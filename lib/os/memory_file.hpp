// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <span>

#include "os/file.hpp"

namespace hoist::detail::os {

/// Makes a file that long and sets its space from byte `from` on aside, so that later accesses
/// can't fail. Returns 0 or an errno.
int reserve_space(int fd, std::size_t bytes, std::size_t from = 0);

/// An anonymous file in memory of exactly `bytes`. Its space is reserved (in huge pages, where the
/// system has them), so later accesses can't fail. Where memory is short, or `bytes` is more than
/// HOIST_MAX_SHARED_BYTES, the file is on a disk: in the first of `temp_folders()` that has the
/// space. Throws SystemError naming the size. `name` is what /proc shows.
Fd memory_file(const char* name, std::size_t bytes);
/// A file in memory of `bytes`, of which only the first `reserved` are set aside: the others with
/// reserve_space, before they are touched. Throws SystemError.
Fd growing_memory_file(const char* name, std::size_t bytes, std::size_t reserved);
/// Called when a part (offset, bytes) of a file has been copied; from several threads.
using PartCopied = std::function<void(int fd, std::size_t at, std::size_t bytes)>;
/// Such a file with these bytes, which all cores copy where they are many. `folder` comes before
/// the other folders. `copied` is called for parts while others are still being copied, and may
/// free the original of the part, whose memory then serves for the rest.
Fd memory_copy(const char* name, std::span<const std::byte> content,
               const std::filesystem::path& folder = {}, const PartCopied& copied = {});

}  // namespace hoist::detail::os
