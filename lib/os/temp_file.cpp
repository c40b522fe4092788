// SPDX-License-Identifier: BSD-3-Clause
#include "os/temp_file.hpp"

#include <fcntl.h>

#include <cstdlib>
#include <mutex>

#include "os/fork_hook.hpp"

namespace hoist::detail::os {

namespace {

struct TempFolder {
  std::mutex mutex;
  std::filesystem::path path;
  ForkHook fork_hook{mutex};
};

TempFolder& temp_folder() {
  // Never destroyed: destructors of static objects write files, too.
  static auto* const folder = new TempFolder;
  return *folder;
}

}  // namespace

std::vector<std::filesystem::path> temp_folders(const std::filesystem::path& first) {
  std::vector<std::filesystem::path> folders{first};
  {
    TempFolder& set = temp_folder();
    const std::lock_guard lock(set.mutex);
    folders.push_back(set.path);
  }
  for (const char* variable : {"HOIST_TEMP_FOLDER", "TMPDIR"}) {
    if (const char* set = std::getenv(variable)) folders.emplace_back(set);
  }
  folders.emplace_back("/tmp");
  std::erase_if(folders, [](const auto& folder) { return folder.empty(); });
  return folders;
}

void set_temp_folder(const std::filesystem::path& folder) {
  TempFolder& set = temp_folder();
  const std::lock_guard lock(set.mutex);
  set.path = folder;
}

Fd unnamed_file(const std::filesystem::path& folder) {
  return Fd(::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
}

}  // namespace hoist::detail::os
