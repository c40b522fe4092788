// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <utility>

#include "os/file.hpp"

namespace hoist::detail::os {

/// A descriptor that is kept for as long as an array lives. A process may have any number of arrays
/// but only a limited number of descriptors: at most a quarter of that limit is kept in this way; a
/// descriptor beyond it is closed at once. Several threads may make and destroy such objects.
class KeptFd {
 public:
  KeptFd() = default;
  explicit KeptFd(Fd fd) : fd_(fd && count_in() ? std::move(fd) : Fd()) {}
  KeptFd(KeptFd&& other) noexcept = default;
  KeptFd& operator=(KeptFd&& other) noexcept {
    reset();
    fd_ = std::move(other.fd_);
    return *this;
  }
  ~KeptFd() { reset(); }

  int get() const noexcept { return fd_.get(); }
  explicit operator bool() const noexcept { return static_cast<bool>(fd_); }
  void reset() noexcept {
    if (fd_) count_out();
    fd_.reset();
  }

 private:
  static bool count_in() noexcept;
  static void count_out() noexcept;

  Fd fd_;
};

}  // namespace hoist::detail::os
