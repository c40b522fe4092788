// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <functional>

namespace hoist::detail::os {

/// Has a thread of its own call `action` once this process gets SIGTERM, which ends nothing any
/// more: that is up to `action`. To be called before there are threads, since it is in the calling
/// one, and in those that it starts afterwards, that the signal is blocked.
void at_termination(std::function<void()> action);

}  // namespace hoist::detail::os
