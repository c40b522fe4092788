// SPDX-License-Identifier: BSD-3-Clause
#include "os/working_place.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <filesystem>
#include <optional>
#include <string_view>
#include <system_error>

#include "os/file.hpp"
#include "os/thread_settings.hpp"

namespace hoist::detail::os {

WorkingPlace working_place() {
  WorkingPlace place;
  place.floats = float_mode();
  std::error_code error;
  const std::filesystem::path directory = std::filesystem::current_path(error);
  // The system calls a directory that can't be reached from the root "(unreachable)".
  if (!error && directory.is_absolute()) place.directory = directory;
  constexpr std::string_view label = "\nUmask:\t";
  const std::string status = read_text("/proc/self/status").value_or("");
  if (const std::size_t at = status.find(label); at != std::string::npos) {
    const char* const digits = status.data() + at + label.size();
    std::from_chars(digits, status.data() + status.size(), place.umask, 8);
  }
  return place;
}

void enter(const WorkingPlace& place) {
  std::fesetenv(&place.floats);
  ::umask(place.umask);
  if (!place.directory.empty() && ::chdir(place.directory.c_str()) != 0) {
    throw_system("make the working directory of a worker process", place.directory, errno);
  }
}

}  // namespace hoist::detail::os
