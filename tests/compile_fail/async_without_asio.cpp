// SPDX-License-Identifier: BSD-3-Clause
// expect: functions async_...() need #include <hoist/asio.hpp>
#include <hoist/queue.hpp>

void get(const hoist::Queue<int>& queue) { queue.async_get(); }
