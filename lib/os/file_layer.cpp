// SPDX-License-Identifier: BSD-3-Clause
#include "os/file_layer.hpp"

#include <hoist/error.hpp>

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdio>

namespace hoist::detail::os {

FileLayer::~FileLayer() = default;

Fd FileLayer::create(const std::string& path, mode_t mode) {
  return Fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
}

void FileLayer::write(int fd, std::span<const std::byte> bytes, const std::string& path) {
  write_all(fd, bytes, path);
}

void FileLayer::sync(int fd, const std::string& path) {
  if (::fsync(fd) != 0 && errno != EINVAL)
    throw SystemError("can't write to \"" + path + "\"", errno);
}

int FileLayer::rename(const std::string& from, const std::string& to) {
  return ::rename(from.c_str(), to.c_str()) == 0 ? 0 : errno;
}

bool FileLayer::renames_after_data(int fd) {
  // ext4 as it is mounted by default (auto_da_alloc), and btrfs; a power failure leaves nothing of
  // the other two.
  constexpr std::uint32_t types[] = {EXT4_SUPER_MAGIC, BTRFS_SUPER_MAGIC, TMPFS_MAGIC, RAMFS_MAGIC};
  struct statfs status{};
  return ::fstatfs(fd, &status) == 0 &&
         std::ranges::count(types, static_cast<std::uint32_t>(status.f_type)) != 0;
}

int FileLayer::link(const std::string& from, const std::string& to) {
  return ::link(from.c_str(), to.c_str()) == 0 ? 0 : errno;
}

int FileLayer::make_directory(const std::string& path) {
  return ::mkdir(path.c_str(), 0777) == 0 ? 0 : errno;
}

int FileLayer::sync_directory(const std::string& path) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  return fd && ::fsync(fd.get()) == 0 ? 0 : errno;
}

int FileLayer::remove(const std::string& path) { return ::unlink(path.c_str()) == 0 ? 0 : errno; }

int FileLayer::lock_file(int fd) { return ::flock(fd, LOCK_EX | LOCK_NB) == 0 ? 0 : errno; }

int FileLayer::lock_range(int fd, int command, struct flock& range) {
  while (::fcntl(fd, command, &range) != 0) {
    if (errno != EINTR) return errno;
  }
  return 0;
}

namespace {

std::atomic<FileLayer*> replaced{nullptr};

}  // namespace

FileLayer& system_files() noexcept {
  // Never destroyed: files are written by other objects' destructors, too.
  static FileLayer& one = *new FileLayer;  // NOLINT(bugprone-unhandled-exception-at-new): 8 bytes
  FileLayer* const other = replaced.load(std::memory_order_acquire);
  return other != nullptr ? *other : one;
}

void replace_system_files(FileLayer* layer) noexcept {
  replaced.store(layer, std::memory_order_release);
}

}  // namespace hoist::detail::os
