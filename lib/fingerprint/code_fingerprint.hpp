// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/code.hpp>

#include <string>
#include <vector>

#include "fingerprint/variable_values.hpp"

namespace hoist::detail::fingerprint {

/// What stands for a function's code in a cache key.
struct CodeFingerprint {
  Digest digest;
  /// False if the function couldn't be looked into (stripped module, other processor, code that
  /// belongs to no file): the digest then is that of its module, changed by every rebuild.
  bool exact = true;
  /// What the code reads of variables and nothing it reaches writes: what they hold at the time of
  /// a call counts too (`digest_values`).
  std::vector<VariableBytes> variables;
  /// The name of a function that calls others through pointers, which can't be followed; mostly
  /// empty.
  std::string caller_by_pointer;
  std::string note;  ///< why not, or what was taken as a whole; one sentence, mostly empty
};

/// The fingerprint of the function whose code is at `function`. Never throws for odd code or files.
/// Thread-safe; computed once per process, function and check (about 1 us per function reached, and
/// once per module about 0.05 us per symbol).
CodeFingerprint fingerprint_code(const void* function, CodeCheck check);

}  // namespace hoist::detail::fingerprint
