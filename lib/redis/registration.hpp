// SPDX-License-Identifier: BSD-3-Clause
#pragma once

namespace hoist::detail::redis {

/// Makes the stores of URLs known.
void register_stores();
/// Makes the backend "redis" known, and has this process become a worker host before main where the
/// environment says so.
void register_loops();

}  // namespace hoist::detail::redis
