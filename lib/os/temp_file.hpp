// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <filesystem>
#include <vector>

#include "os/file.hpp"

namespace hoist::detail::os {

/// The folders for files without names, in order of preference: `first`, the folder of
/// set_temp_folder, HOIST_TEMP_FOLDER, TMPDIR, /tmp; without those that are not set.
std::vector<std::filesystem::path> temp_folders(const std::filesystem::path& first = {});

/// Sets the folder for such files of this process; if empty, the environment decides.
void set_temp_folder(const std::filesystem::path& folder);

/// A file without a name, to read and write, which vanishes when it is closed. Empty, with errno
/// set, where the folder can't have one.
Fd unnamed_file(const std::filesystem::path& folder);

}  // namespace hoist::detail::os
