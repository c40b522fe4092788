// SPDX-License-Identifier: BSD-3-Clause
//
// The two functions of MKL that say how many threads it may start; MKL itself is no free software.

namespace {
// Not where LeakSanitizer loses its way (memory of threads that is made as it is asked for).
[[gnu::tls_model("initial-exec")]] thread_local int own_number = 0;
}  // namespace

extern "C" {

int MKL_Get_Max_Threads() { return own_number != 0 ? own_number : 6; }

/// Zero: the process's number from now on. Returns what the calling thread had.
int MKL_Set_Num_Threads_Local(int number) {
  const int before = own_number;
  own_number = number;
  return before;
}

}  // extern "C"
