// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>

namespace hoist::detail::os {

// Numeric libraries start as many threads as there are cores, each time they are called: far too
// many if parallel tasks call them. These classes set limits through functions of the libraries
// that are loaded: OpenMP runtimes, MKL and BLIS 1 have a limit per thread, OpenBLAS, older BLIS
// and oneTBB per process.

/// Environment variables in which libraries read, when they are loaded, how many threads to start.
inline constexpr const char* thread_variables[] = {
    "OMP_NUM_THREADS",        "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS",   "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS", "NUMEXPR_NUM_THREADS",  "NUMBA_NUM_THREADS", "TBB_NUM_THREADS"};

/// How many threads libraries may start. Unless `exact`, a limit only lowers their own.
struct ThreadLimit {
  unsigned threads = 0;  ///< 0: none
  bool exact = false;
};

/// Limits, for a scope, the threads that libraries start for the calling thread. Costs about 10 ns.
class InnerThreads {
 public:
  explicit InnerThreads(ThreadLimit limit);
  ~InnerThreads();
  InnerThreads(const InnerThreads&) = delete;
  InnerThreads& operator=(const InnerThreads&) = delete;

 private:
  const void* libraries_ = nullptr;
  std::array<int, 6> before_{};
};

/// Limits, for a scope, the libraries that have one limit for the process. Looks for libraries that
/// were loaded meanwhile.
class ProcessThreads {
 public:
  explicit ProcessThreads(ThreadLimit limit);
  ~ProcessThreads();
  ProcessThreads(const ProcessThreads&) = delete;
  ProcessThreads& operator=(const ProcessThreads&) = delete;

 private:
  // Has the layout of oneTBB's global_control.
  struct TbbControl {
    std::size_t value = 0;
    std::ptrdiff_t reserved = 0;
    int parameter = 0;  // max_allowed_parallelism
  };
  const void* libraries_ = nullptr;
  TbbControl tbb_;
  bool limits_tbb_ = false;
};

/// Does both until the process ends, for processes that only run tasks.
void limit_inner_threads(ThreadLimit limit);

}  // namespace hoist::detail::os
