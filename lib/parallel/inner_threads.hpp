// SPDX-License-Identifier: BSD-3-Clause
#pragma once

namespace hoist::detail {

/// Limits, for a scope, the threads that OpenMP starts from the calling thread, where an OpenMP
/// library is loaded: tasks that use it (numeric libraries do) would otherwise start as many threads
/// as there are cores, each. Some 10 ns.
class InnerThreads {
 public:
  explicit InnerThreads(unsigned limit);
  ~InnerThreads();
  InnerThreads(const InnerThreads&) = delete;
  InnerThreads& operator=(const InnerThreads&) = delete;

 private:
  int before_ = 0;
};

/// Likewise, for the rest of a process's life and for libraries with threads of their own (OpenBLAS,
/// MKL, BLIS): for forked children.
void limit_inner_threads(unsigned limit);

}  // namespace hoist::detail
