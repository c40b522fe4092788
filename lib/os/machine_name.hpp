// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>

namespace hoist::detail::os {

/// What this machine is called, for messages.
std::string machine_name();

}  // namespace hoist::detail::os
