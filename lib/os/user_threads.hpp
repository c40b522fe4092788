// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <optional>

namespace hoist::detail::os {

/// How many threads run beside the calling one that aren't hoist's own. Nothing where the system
/// doesn't tell.
std::optional<std::size_t> other_threads();
/// Whether code of the user runs in the calling thread and can run in no other of this process, as
/// long as this one waits.
bool is_only_user_thread();

}  // namespace hoist::detail::os
