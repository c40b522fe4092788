// SPDX-License-Identifier: BSD-3-Clause
#include "os/working_place.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <filesystem>
#include <optional>
#include <string_view>
#include <system_error>

#include "os/file.hpp"
#include "os/fork_hook.hpp"
#include "os/kept_fd.hpp"
#include "os/thread_settings.hpp"

namespace hoist::detail::os {

namespace {

constexpr const char* status_path = "/proc/self/status";

/// Kept open, as to open the file takes almost as long as to read it.
constinit PerProcess<const KeptFd> status_file;
/// A forked child finds that of its parent here, and closes it.
constinit const KeptFd* newest_status_file = nullptr;

/// What /proc/self/status says before the larger part of it.
std::string beginning_of_status() {
  const KeptFd& file = status_file.here([] {
    delete newest_status_file;
    return newest_status_file = new KeptFd(Fd(::open(status_path, O_RDONLY | O_CLOEXEC)));
  });
  char text[256];
  const ssize_t n = ::pread(file.get(), text, sizeof text, 0);
  // The program may have closed it.
  return n > 0 ? std::string(text, static_cast<std::size_t>(n))
               : read_text(status_path).value_or("");
}

}  // namespace

WorkingPlace working_place() {
  WorkingPlace place;
  place.floats = float_mode();
  std::error_code error;
  const std::filesystem::path directory = std::filesystem::current_path(error);
  // The system calls a directory that can't be reached from the root "(unreachable)".
  if (!error && directory.is_absolute()) place.directory = directory;
  constexpr std::string_view label = "\nUmask:\t";
  const std::string status = beginning_of_status();
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
