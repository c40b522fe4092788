// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/bytes.hpp>

#include <string>
#include <vector>

#include "os/file_layer.hpp"

namespace hoist::detail::os {

/// The directory in which entries grow before they are renamed to their names. One for the whole
/// store, so that what killed writers left can be found without a walk through all of it.
class Staging {
 public:
  /// `root` ends in a slash.
  Staging(const std::string& root, FileLayer& files, bool fsync);

  /// Creates the directory that a path's file is in, and those above it up to the root.
  void make_parent(const std::string& path);
  /// Removes the files whose writers are gone: those that nobody holds locked.
  void sweep();

  const std::string& directory() const noexcept { return directory_; }
  FileLayer& files() const noexcept { return files_; }
  bool fsync() const noexcept { return fsync_; }

 private:
  std::string root_;
  std::string directory_;
  FileLayer& files_;
  bool fsync_;
};

/// A file that grows in the staging directory, locked while its writer lives.
class StagedFile final : public ByteSink {
 public:
  explicit StagedFile(Staging& staging);
  StagedFile(const StagedFile&) = delete;
  StagedFile& operator=(const StagedFile&) = delete;
  ~StagedFile() override;

  void write(std::span<const std::byte> bytes) override;
  /// Gives the file its name. Creates missing directories.
  void commit(const std::string& path);
  std::uint64_t size() const noexcept { return size_; }

 private:
  void flush();

  Staging& staging_;
  std::string path_;
  Fd fd_;
  std::uint64_t size_ = 0;
  std::vector<std::byte> buffer_;
};

}  // namespace hoist::detail::os
