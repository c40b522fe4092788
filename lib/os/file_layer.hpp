// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <fcntl.h>

#include <cstddef>
#include <span>
#include <string>

#include "os/file.hpp"

namespace hoist::detail::os {

/// The system calls that write files and give them their names. Tests replace it by a layer that
/// fails, or that forgets what was not synced.
class FileLayer {
 public:
  virtual ~FileLayer();
  /// Creates a file that doesn't exist; an empty Fd with errno set otherwise.
  virtual Fd create(const std::string& path, mode_t mode = 0666);
  virtual void write(int fd, std::span<const std::byte> bytes, const std::string& path);
  /// Does nothing on devices that don't support it.
  virtual void sync(int fd, const std::string& path);
  /// These return 0 or an errno.
  virtual int rename(const std::string& from, const std::string& to);
  /// Whether the file system of an open file puts its data on the disk before a rename that gives
  /// it the name of another file, so that a power failure leaves one of the two whole.
  virtual bool renames_after_data(int fd);
  virtual int link(const std::string& from, const std::string& to);
  virtual int make_directory(const std::string& path);
  virtual int sync_directory(const std::string& path);
  virtual int remove(const std::string& path);
  /// `flock`, exclusive and without waiting.
  virtual int lock_file(int fd);
  /// `fcntl` with a command for locks.
  virtual int lock_range(int fd, int command, struct flock& range);
};

/// The layer that is used unless another is asked for. Lives as long as the process.
FileLayer& system_files() noexcept;
/// Replaces it, for tests; null puts the system's own back.
void replace_system_files(FileLayer* layer) noexcept;

}  // namespace hoist::detail::os
