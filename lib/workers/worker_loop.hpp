// SPDX-License-Identifier: BSD-3-Clause
#pragma once

namespace hoist::detail::workers {

/// The life of a worker process: obeys the frames of its channel until told to leave. `is_hosted`:
/// this process does not run its parent's program.
[[noreturn]] void run_worker(int channel, bool is_hosted);

}  // namespace hoist::detail::workers
