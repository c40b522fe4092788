// SPDX-License-Identifier: BSD-3-Clause
//
// The two functions of MKL that say how many threads it may start; MKL itself is no free software.

namespace {
// LeakSanitizer does not find thread-local memory that is allocated on demand.
[[gnu::tls_model("initial-exec")]] thread_local int own_number = 0;
}  // namespace

extern "C" {

// NOLINTBEGIN(readability-identifier-naming)

int MKL_Get_Max_Threads() { return own_number != 0 ? own_number : 6; }

/// Sets the calling thread's limit; 0: the process's limit applies. Returns the previous limit.
int MKL_Set_Num_Threads_Local(int number) {
  const int before = own_number;
  own_number = number;
  return before;
}

// NOLINTEND(readability-identifier-naming)

}  // extern "C"
