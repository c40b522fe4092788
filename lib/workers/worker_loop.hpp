// SPDX-License-Identifier: BSD-3-Clause
#pragma once

namespace hoist::detail::workers {

/// The life of a worker process: obeys the frames of its channel until told to leave.
[[noreturn]] void run_worker(int channel);

}  // namespace hoist::detail::workers
