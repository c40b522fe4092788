// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/bytes.hpp>

#include <string>

#include "os/locked_temporary.hpp"

namespace hoist::detail::os {

/// The directory in which entries are written before they get their names. There is one for the
/// whole store, so that the files of killed writers are found without walking through all of it.
class Staging {
 public:
  /// `root` ends in a slash.
  Staging(const std::string& root, FileLayer& files, bool fsync);

  /// Creates the directory that a path's file is in, and those above it. Throws SystemError.
  void make_parent(const std::string& path);
  /// Removes the files whose writers are gone: those that nobody holds locked.
  void sweep() { LockedTemporary::sweep(files_, directory_, ""); }

  const std::string& directory() const noexcept { return directory_; }
  FileLayer& files() const noexcept { return files_; }
  bool fsync() const noexcept { return fsync_; }

 private:
  void made(const std::string& directory);

  std::string root_;
  std::string directory_;
  FileLayer& files_;
  bool fsync_;
};

/// A file that grows in the staging directory, locked while its writer lives.
class StagedFile final : public ByteSink {
 public:
  explicit StagedFile(Staging& staging);

  void write(std::span<const std::byte> bytes) override { file_.write(bytes); }
  /// Gives the file its name. Creates missing directories.
  void commit(const std::string& path);
  std::uint64_t size() const noexcept { return file_.size(); }

 private:
  Staging& staging_;
  LockedTemporary file_;
};

}  // namespace hoist::detail::os
