// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <vector>

#include "fingerprint/variable_values.hpp"

namespace hoist::detail::fingerprint {

/// A variable, or a part of one, that a function reads and nothing it reaches writes.
struct ReadVariable {
  std::string name;
  VariableBytes bytes;
};

/// Those of the function whose code is at `function`, without thread-local ones; none if it can't
/// be looked into. Thread-safe; cost: as fingerprint_code, once per process and function.
///
/// Weak: with a static libhoist.a the program has it if it caches functions. Otherwise its address
/// is null, and a program with a loop is spared the decoder of machine code.
[[gnu::weak]] std::vector<ReadVariable> variables_read_by(const void* function);

}  // namespace hoist::detail::fingerprint
