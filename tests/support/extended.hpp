// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdlib>

namespace support {

/// Whether the tests may take long: the run by hand or `tools/check --extended`.
inline const bool extended = std::getenv("HOIST_TEST_EXTENDED") != nullptr;

}  // namespace support
