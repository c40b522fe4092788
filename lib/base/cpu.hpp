// SPDX-License-Identifier: BSD-3-Clause
#pragma once

namespace hoist::detail {

/// Number of cores this process may use: the size of its affinity mask, at least 1.
int usable_cores();

}  // namespace hoist::detail
