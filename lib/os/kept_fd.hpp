// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <optional>
#include <utility>

#include "os/file.hpp"

namespace hoist::detail::os {

/// A descriptor that is kept for as long as an array lives. A process may have any number of arrays
/// but only a limited number of descriptors: at most a quarter of that limit is kept in this way; a
/// descriptor beyond it is closed at once. Several threads may make and destroy such objects.
///
/// A program may close descriptors that are not its own, as daemons do when they start, and open
/// others under their numbers: what such a number means then is neither used nor closed.
class KeptFd {
 public:
  KeptFd() = default;
  /// `file` is what is behind `fd`, if that is known already.
  explicit KeptFd(Fd fd, std::optional<FileIdentity> file = std::nullopt);
  KeptFd(KeptFd&& other) noexcept = default;
  KeptFd& operator=(KeptFd&& other) noexcept {
    reset();
    fd_ = std::move(other.fd_);
    file_ = other.file_;
    return *this;
  }
  ~KeptFd() { reset(); }

  /// -1 for none.
  int get() const noexcept { return is_ours() ? fd_.get() : -1; }
  explicit operator bool() const noexcept { return is_ours(); }
  void reset() noexcept;

 private:
  bool is_ours() const noexcept { return fd_ && identity_of(fd_.get()) == file_; }

  Fd fd_;
  FileIdentity file_;
};

/// Lets this process have as many descriptors as it may, for one that keeps some for each of many
/// others. Of no avail where it may have no more.
void raise_descriptor_limit() noexcept;

}  // namespace hoist::detail::os
