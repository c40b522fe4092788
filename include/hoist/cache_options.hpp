// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/requirements.hpp>

#include <hoist/code.hpp>
#include <hoist/compression.hpp>
#include <hoist/entry.hpp>
#include <hoist/mmap_mode.hpp>

#include <optional>
#include <string>
#include <vector>

namespace hoist {

/// Options of one cached function. Those left unset are the Memory's.
struct CacheOptions {
  /// Takes the place of the name that hoist finds. Functions of equal name and version share
  /// entries, also those of different programs.
  std::string name = {};
  /// Takes the place of the code's fingerprint: entries stay valid until the version changes.
  std::string version = {};
  /// Positions (from 0) of parameters that don't count. BadArgument for one that doesn't exist.
  std::vector<int> ignore = {};
  /// How much code the results depend on.
  CodeCheck code = CodeCheck::callees;
  /// Asked before a stored result is used; see `expires_after`.
  Validation validate = {};
  /// How arrays in results come back: read, or mapped (`read`, `copy_on_write`) from their entry.
  std::optional<MmapMode> mmap_mode = {};
  /// How new entries are compressed; those that are there are read whatever they are.
  Compression compress = {};
  /// What new entries are marked with, for EntryFilter: `memory.reduce_size({.items_limit = 0},
  /// {.tags = {"trial"}})` removes them. They are no part of the key.
  std::vector<std::string> tags = {};
  /// What is told: see `MemoryOptions::verbose`.
  std::optional<int> verbose = {};
};

}  // namespace hoist
