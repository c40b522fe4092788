// SPDX-License-Identifier: BSD-3-Clause
#pragma once

namespace hoist::detail::os {

/// While it lives, a write of this thread beyond the limit on file sizes (RLIMIT_FSIZE) fails with
/// EFBIG and has no other effect; by default the system ends the process with SIGXFSZ. Leaves
/// `errno` alone. Costs one system call where there is no limit.
class SizeLimitAsError {
 public:
  SizeLimitAsError() noexcept;
  SizeLimitAsError(const SizeLimitAsError&) = delete;
  SizeLimitAsError& operator=(const SizeLimitAsError&) = delete;
  ~SizeLimitAsError();

 private:
  bool active_ = false;
  bool was_blocked_ = false;
};

}  // namespace hoist::detail::os
