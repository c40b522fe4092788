// SPDX-License-Identifier: BSD-3-Clause
#include "os/temp_file.hpp"

#include <fcntl.h>

#include <cstdlib>
#include <mutex>

namespace hoist::detail::os {

namespace {

std::mutex temp_folder_mutex;
std::filesystem::path& temp_folder() {
  static auto* const folder = new std::filesystem::path;
  return *folder;
}

}  // namespace

std::vector<std::filesystem::path> temp_folders(const std::filesystem::path& first) {
  std::vector<std::filesystem::path> folders{first};
  {
    const std::lock_guard lock(temp_folder_mutex);
    folders.push_back(temp_folder());
  }
  for (const char* variable : {"HOIST_TEMP_FOLDER", "TMPDIR"}) {
    if (const char* set = std::getenv(variable)) folders.emplace_back(set);
  }
  folders.emplace_back("/tmp");
  std::erase_if(folders, [](const auto& folder) { return folder.empty(); });
  return folders;
}

void set_temp_folder(const std::filesystem::path& folder) {
  const std::lock_guard lock(temp_folder_mutex);
  temp_folder() = folder;
}

Fd unnamed_file(const std::filesystem::path& folder) {
  return Fd(::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
}

}  // namespace hoist::detail::os
