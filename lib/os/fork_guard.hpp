// SPDX-License-Identifier: BSD-3-Clause
#pragma once

namespace hoist::detail::os {

/// Something that has to be put in order around fork(): its mutexes held while it happens, its
/// descriptors closed in the child. Registered from construction to destruction, which must not
/// happen while one of its own mutexes is held.
class ForkGuard {
 public:
  ForkGuard();
  ForkGuard(const ForkGuard&) = delete;
  ForkGuard& operator=(const ForkGuard&) = delete;

  virtual void before_fork() = 0;
  virtual void after_fork(bool in_child) = 0;

 protected:
  ~ForkGuard();
};

}  // namespace hoist::detail::os
