// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/dump.hpp>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>

#include "formats/container.hpp"
#include "os/file.hpp"

// The formats that are not hoist's own. A value goes to and from them through a Value.

namespace hoist::detail::files {

enum class Format { npy, npz, pickle };

/// The format that a path's extension names; an extension of a compression method may follow it.
/// Nothing for the hoist container.
std::optional<Format> format_for_name(std::filesystem::path path);
/// The format of uncompressed data with this beginning; nothing for the hoist container and unknown
/// formats.
std::optional<Format> format_of_content(std::span<const std::byte> first);
/// The compression method that `compress = level` means for a format.
const char* default_codec(Format format);

/// Writes a value. `compressed`: by the stream behind `out`; else `level` and `threads` are for the
/// members of a .npz.
void dump_foreign(Format format, ByteSink& out, bool compressed, int level, unsigned threads,
                  const Schema& schema, const EncodeCall& call);

struct ForeignSource {
  ByteSource& in;
  os::FileSource* file;  // `in` itself where that is an uncompressed file, else null
  std::uint64_t most;    // bytes that may come out of a source that does not know its length
  const std::filesystem::path& path;
  const std::string& name;
  const LoadOptions& options;
};

/// Reads a value.
void load_foreign(Format format, const ForeignSource& from, const Schema& schema,
                  const DecodeCall& call);

/// Whether members are matched by name.
bool matches_names(const LoadOptions& options);
/// Reads whatever a container holds by way of a Value, as which a caller who knows no type gets it.
void load_converted(formats::ContainerReader& reader, const LoadOptions& options,
                    const Schema& schema, const DecodeCall& call);
inline constexpr std::string_view untyped_schema = "value";

}  // namespace hoist::detail::files
