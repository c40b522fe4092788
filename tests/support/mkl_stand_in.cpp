// SPDX-License-Identifier: BSD-3-Clause
//
// The two functions of MKL that say how many threads it may start; MKL itself is no free software.

namespace {
thread_local int own_number = 0;
}

extern "C" {

int MKL_Get_Max_Threads() { return own_number != 0 ? own_number : 6; }

/// Zero: the process's number from now on. Returns what the calling thread had.
int MKL_Set_Num_Threads_Local(int number) {
  const int before = own_number;
  own_number = number;
  return before;
}

}  // extern "C"
