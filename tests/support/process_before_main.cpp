// SPDX-License-Identifier: BSD-3-Clause
//
// A program that starts a process before main.
#include <hoist/process.hpp>

#include <cstdio>
#include <exception>

#include "support/count_starts.hpp"

namespace {

int exit_code() {
  support::count_start();
  try {
    hoist::Process process([] {});
    process.start();
    process.join();
    return process.exitcode().value_or(-1);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "start: %s\n", error.what());
    return -1;
  }
}

const int code = exit_code();

}  // namespace

int main() { return code; }
