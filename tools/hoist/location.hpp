// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/memory.hpp>
#include <hoist/memory_entry.hpp>

#include <filesystem>
#include <string>
#include <vector>

namespace CLI {  // NOLINT(readability-identifier-naming)
class App;
}

namespace hoist::tool {

/// Gives a command the options that choose entries of a cache.
void add_filter(CLI::App& command, EntryFilter& filter);

/// The caches that a command is about: those named, else that of HOIST_CACHE, else the current
/// directory and those in it that are caches. Throws NotFound where there are none.
std::vector<std::filesystem::path> cache_locations(const std::vector<std::string>& named);
/// For commands that change a cache: one only. Throws BadArgument where it isn't clear which.
std::filesystem::path one_cache(const std::string& named);

/// The cache at a location, which leaves no trace of having been looked at.
Memory open_cache(const std::filesystem::path& location);
/// The same, to be changed.
Memory open_cache_to_change(const std::filesystem::path& location);

}  // namespace hoist::tool
