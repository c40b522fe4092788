// SPDX-License-Identifier: BSD-3-Clause
#include "status/directory.hpp"

#include <fcntl.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

namespace hoist::detail::status {

std::string directory_path() {
  const char* const runtime = ::secure_getenv("XDG_RUNTIME_DIR");
  if (runtime == nullptr || *runtime != '/') return {};
  return std::string(runtime) + "/hoist";
}

os::Fd open_directory(const std::string& path, bool make) {
  if (path.empty()) return {};
  const auto open = [&] {
    return os::Fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  };
  os::Fd fd = open();
  if (!fd && make && ::mkdir(path.c_str(), 0700) == 0) fd = open();
  struct stat status{};
  if (!fd || ::fstat(fd.get(), &status) != 0) return {};
  if (status.st_uid != ::getauxval(AT_EUID) || (status.st_mode & 077) != 0) return {};
  return fd;
}

}  // namespace hoist::detail::status
