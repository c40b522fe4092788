// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/backend.hpp>

#include <memory>

#include "backends/worker_source.hpp"

namespace hoist::detail::backends {

/// A loop on worker processes, moved along by the thread that owns it. `source` outlives it.
std::unique_ptr<Session> open_process_session(Loop& loop, WorkerSource& source);

}  // namespace hoist::detail::backends
