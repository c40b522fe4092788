// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/bytes.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "os/file_layer.hpp"

namespace hoist::detail::os {

/// A file that grows under a temporary name until it gets its own. It is locked while its writer
/// lives, which tells it from the files that killed writers left. The destructor removes it.
class LockedTemporary final : public ByteSink {
 public:
  explicit LockedTemporary(FileLayer& files) : files_(files) {}
  LockedTemporary(const LockedTemporary&) = delete;
  LockedTemporary& operator=(const LockedTemporary&) = delete;
  ~LockedTemporary() override;

  /// Creates the file, whose path is `prefix` followed by numbers. Returns 0 or an errno.
  int create(const std::string& prefix, mode_t mode = 0666);
  /// Writes to an open file instead, which is neither renamed nor removed.
  void write_directly(Fd fd) { fd_ = std::move(fd); }
  /// What messages call the file; its temporary path unless this is set.
  void set_name(std::string name) { name_ = std::move(name); }

  /// Small writes are buffered, large ones are not copied. Throws SystemError.
  void write(std::span<const std::byte> bytes) override;
  void flush();
  void sync();
  /// Gives the file its name. Returns 0 or an errno.
  int rename(const std::string& to);
  void close() { fd_.reset(); }

  bool is_temporary() const noexcept { return !path_.empty(); }
  const std::string& path() const noexcept { return path_; }
  int fd() const noexcept { return fd_.get(); }
  /// Bytes written so far.
  std::uint64_t size() const noexcept { return size_; }

  /// Removes the files in `directory` that were created with `prefix` and whose writers are gone.
  static void sweep(FileLayer& files, const std::string& directory, std::string_view prefix);

 private:
  const std::string& name() const { return name_.empty() ? path_ : name_; }

  FileLayer& files_;
  std::string path_;
  std::string name_;
  Fd fd_;
  std::uint64_t size_ = 0;
  std::vector<std::byte> buffer_;
};

}  // namespace hoist::detail::os
