// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/bytes.hpp>

#include <cstdint>
#include <optional>
#include <string>

// As much of the tar format as archives of caches use: POSIX ustar is written; of what pax and GNU
// tar put in front of a member, its name and its size are read.

namespace hoist::detail::formats {

inline constexpr std::size_t tar_block = 512;

struct TarMember {
  std::string name;
  std::uint64_t bytes = 0;
  bool is_file = true;
};

/// Writes what stands in front of a file's bytes. Throws BadArgument for a name that has no room.
void write_tar_head(ByteSink& out, const TarMember& member);
/// Fills up the last block of a file.
void write_tar_padding(ByteSink& out, std::uint64_t bytes);
void write_tar_end(ByteSink& out);

/// The next member, whose bytes and padding follow; nothing at the end. Throws DamagedData.
std::optional<TarMember> read_tar_head(ByteSource& in, const std::string& archive);

}  // namespace hoist::detail::formats
