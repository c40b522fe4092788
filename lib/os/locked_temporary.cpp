// SPDX-License-Identifier: BSD-3-Clause
#include "os/locked_temporary.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <memory>

namespace hoist::detail::os {

namespace {

constexpr std::size_t buffer_bytes = std::size_t{64} << 10;

/// Whether a name ends as `create` ends it, behind the prefix.
bool is_numbered(std::string_view end) {
  const std::size_t dash = end.find('-');
  return dash != 0 && dash != std::string_view::npos && dash + 1 < end.size() &&
         end.find_first_not_of("0123456789") == dash &&
         end.find_first_not_of("0123456789", dash + 1) == std::string_view::npos;
}

}  // namespace

LockedTemporary::~LockedTemporary() {
  if (fd_ && is_temporary()) files_.remove(path_);
}

int LockedTemporary::create(const std::string& prefix, mode_t mode) {
  static std::atomic<unsigned> count{0};
  for (;;) {
    path_ = prefix + std::to_string(::getpid()) + "-" +
            std::to_string(count.fetch_add(1, std::memory_order_relaxed));
    fd_ = files_.create(path_, mode);
    if (!fd_) {
      if (errno == EEXIST) continue;
      return errno;
    }
    // A sweep may lock it in the moment before it is locked here, and then remove it, now or soon:
    // then make another. Where there are no locks, nothing is swept.
    struct stat status{};
    const int error = files_.lock_file(fd_.get());
    const bool swept = error == 0 ? ::fstat(fd_.get(), &status) == 0 && status.st_nlink == 0
                                  : error == EWOULDBLOCK;
    if (!swept) return 0;
  }
}

void LockedTemporary::write(std::span<const std::byte> bytes) {
  size_ += bytes.size();
  const bool large = bytes.size() >= buffer_bytes / 2;
  if (large || buffer_.size() + bytes.size() > buffer_bytes) flush();
  if (large) {
    files_.write(fd_.get(), bytes, name());
    return;
  }
  if (buffer_.capacity() == 0) buffer_.reserve(2048);
  buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
}

void LockedTemporary::flush() {
  if (!buffer_.empty()) files_.write(fd_.get(), buffer_, name());
  buffer_.clear();
}

void LockedTemporary::sync() { files_.sync(fd_.get(), name()); }

int LockedTemporary::rename(const std::string& to) {
  const int error = files_.rename(path_, to);
  if (error == 0) path_.clear();
  return error;
}

void LockedTemporary::sweep(FileLayer& files, const std::string& directory,
                            std::string_view prefix) {
  const std::unique_ptr<DIR, int (*)(DIR*)> open(::opendir(directory.c_str()), &::closedir);
  if (!open) return;
  const int parent = ::dirfd(open.get());
  while (const dirent* entry = ::readdir(open.get())) {
    const std::string_view file = entry->d_name;
    // Nothing else: a symbolic link may have put somebody's files in the place of the directory.
    if (!file.starts_with(prefix) || !is_numbered(file.substr(prefix.size()))) continue;
    // O_NONBLOCK: a pipe of such a name would wait for its writer.
    const Fd fd(::openat(parent, entry->d_name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    struct stat status{};
    if (fd && ::fstat(fd.get(), &status) == 0 && S_ISREG(status.st_mode) &&
        files.lock_file(fd.get()) == 0) {
      ::unlinkat(parent, entry->d_name, 0);
    }
  }
}

}  // namespace hoist::detail::os
