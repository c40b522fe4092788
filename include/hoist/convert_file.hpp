// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/requirements.hpp>

#include <hoist/dump.hpp>

#include <filesystem>

namespace hoist {

/// Writes the content of a file to another one, in the format and compression that its extension
/// and the options say, as in `dump`.
///
/// A file that holds one array of numbers takes 100 MiB of memory, whatever its size, from and to
/// .npy and the hoist container, compressed or not; any other content is loaded as a Value. A
/// container then has the type that `dump` gives an Array, so `load<Array<T>>` reads it. The target
/// appears whole or not at all. Throws what `load` and `dump` throw, and BadArgument where content
/// of a pipe would have to be read a second time. Thread-safe.
void convert_file(const std::filesystem::path& from, const std::filesystem::path& to,
                  const DumpOptions& options = {});

}  // namespace hoist
