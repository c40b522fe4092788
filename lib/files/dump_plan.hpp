// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/codec.hpp>
#include <hoist/compression.hpp>

#include <filesystem>
#include <optional>

#include "files/foreign.hpp"

namespace hoist::detail::files {

/// How a value becomes a file.
struct DumpPlan {
  std::optional<Format> format = {};  ///< nothing: a container
  const Codec* stream = nullptr;      ///< compresses the file as a whole
  const Codec* blocks = nullptr;      ///< compresses inside the container
  int level = 0;
};

/// What the name of a file and the option say. An extension of a compression method makes the whole
/// file a stream of it, which other tools can read; otherwise a container is compressed in blocks,
/// other formats as a whole, and a .npz deflates its members itself. Throws BadArgument for what
/// can't be met.
DumpPlan plan_dump(const std::filesystem::path& path, const Compression& compress);

}  // namespace hoist::detail::files
