// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <filesystem>

#include "os/locked_temporary.hpp"

namespace hoist::detail::os {

/// A file that appears under its name whole or not at all: bytes go to a temporary beside it,
/// `commit` renames that over the target, destruction without commit removes it. Devices and pipes
/// are written directly; links are followed, also one to a file that does not exist yet. A file
/// that is replaced must be writable. Its successor has its mode, and its owner and group if this
/// process may set them; other attributes are those of a new file. A power failure after `commit`
/// leaves the old file or the new one, even without `sync`: where the file system could leave a new
/// name without data, the data go to the disk first. Throws NotFound or SystemError
/// naming the path.
///
/// An AtomicFile also removes the temporaries that killed writers left in the same directory.
class AtomicFile final : public ByteSink {
 public:
  explicit AtomicFile(std::filesystem::path path, FileLayer& files = system_files());

  void write(std::span<const std::byte> bytes) override { file_.write(bytes); }
  /// With `sync`, the data and the new name are on the disk when it returns.
  void commit(bool sync = false);
  /// Appends zeros, which take no room on the disk until they are overwritten.
  void extend(std::uint64_t bytes);
  /// As `commit`, but keeps a file of that name that has appeared meanwhile. Returns false then.
  bool commit_new();

 private:
  std::string directory() const;

  std::filesystem::path path_;
  FileLayer& files_;
  LockedTemporary file_;
  bool replaces_ = false;
};

}  // namespace hoist::detail::os
