// SPDX-License-Identifier: BSD-3-Clause
//
// Prints the fingerprint of sample_entry; with an argument, also what was walked.
#include <cstdio>

#include "fingerprint/code_fingerprint.hpp"
#include "sample.hpp"

int main(int argc, char** argv) {
  const auto* function = reinterpret_cast<const void*>(&sample_entry);
  using hoist::CodeCheck;
  const auto fingerprint =
      hoist::detail::fingerprint::fingerprint_code(function, CodeCheck::callees);
  std::printf("%s %s\n", fingerprint.digest.hex().c_str(), fingerprint.exact ? "exact" : "inexact");
  if (argc > 1) {
    std::puts(hoist::detail::explain_code(function, CodeCheck::callees).text().c_str());
  }
  // Never true; keeps the sample alive and its result unknown.
  return argc > 1000 ? sample_entry(argv[0][0]) : 0;
}
