// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/digest.hpp>

namespace hoist {

/// How much code a cached result depends on.
enum class CodeCheck : unsigned char {
  callees,   ///< the function and everything it reaches
  function,  ///< the function's own code only
  none,      ///< the code doesn't count: results stay valid when it changes
};

/// The fingerprint of the code at `function`, which changes when the code does.
Digest fingerprint_code(const void* function, CodeCheck check = CodeCheck::callees);

}  // namespace hoist
