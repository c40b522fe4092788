// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <filesystem>
#include <vector>

#include "os/file.hpp"

namespace hoist::detail::os {

/// Where files without names may lie, best first: `first`, the folder of set_temp_folder,
/// HOIST_TEMP_FOLDER, TMPDIR, /tmp; without those that are not named.
std::vector<std::filesystem::path> temp_folders(const std::filesystem::path& first = {});

/// Where this process puts such files, from now on; empty: as the environment says.
void set_temp_folder(const std::filesystem::path& folder);

/// A file without a name, to read and write, which vanishes when it is closed. Empty, with errno
/// set, where the folder can't have one.
Fd unnamed_file(const std::filesystem::path& folder);

}  // namespace hoist::detail::os
