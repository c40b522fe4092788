// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <fcntl.h>

#include <cstddef>
#include <span>
#include <string>

#include "os/file.hpp"

namespace hoist::detail::os {

/// The operations by which a local store changes its directory. Tests put a layer in between that
/// fails, or that forgets what was not synced.
class FileLayer {
 public:
  virtual ~FileLayer();
  /// Creates a file that doesn't exist; an empty Fd with errno set otherwise.
  virtual Fd create(const std::string& path);
  virtual void write(int fd, std::span<const std::byte> bytes, const std::string& path);
  virtual void sync(int fd, const std::string& path);
  /// These return 0 or an errno.
  virtual int rename(const std::string& from, const std::string& to);
  virtual int make_directory(const std::string& path);
  virtual int sync_directory(const std::string& path);
  virtual int remove(const std::string& path);
  /// `flock`, exclusive and without waiting.
  virtual int lock_file(int fd);
  /// `fcntl` with a command for locks.
  virtual int lock_range(int fd, int command, struct flock& range);
};

FileLayer& system_files();

}  // namespace hoist::detail::os
