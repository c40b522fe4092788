// SPDX-License-Identifier: BSD-3-Clause
#pragma once

namespace hoist::detail::os {

/// Who forks, and what to do where that is unsafe, for messages.
struct ForkUser {
  const char* name;
  const char* remedy;
};

/// Throws BadArgument, with the reason, where a fork would be unsafe: other threads of the program
/// run.
void check_fork_is_safe(bool force, const ForkUser& user);

/// Holds hoist's own threads still for forks in its scope.
class ForkHold {
 public:
  ForkHold(bool force, const ForkUser& user);
  ~ForkHold();
  ForkHold(const ForkHold&) = delete;
  ForkHold& operator=(const ForkHold&) = delete;

 private:
  bool held_;
};

}  // namespace hoist::detail::os
