// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/backend.hpp>
#include <hoist/detail/encoder.hpp>

#include <cstddef>
#include <cstdint>

#include "ipc/channel.hpp"
#include "os/working_place.hpp"
#include "workers/payload.hpp"

namespace hoist::detail::backends {

// The content of frames that tell a worker of a loop and its tasks: docs/formats/channel.md.

/// `context`: the loop that the tasks to come are in. `encoder` is for its use.
void put_context(ipc::FieldWriter& frame, const Loop& loop, Encoder& encoder);
/// `place`.
void put_place(ipc::FieldWriter& frame, const os::WorkingPlace& place);

/// The head of a frame `tasks`.
struct TasksHead {
  std::uint32_t count = 0;
  ipc::Times times = ipc::Times::together;
  std::uint64_t share_results_from = 0;  ///< blocks of so many bytes travel apart
  std::uint32_t run = 0;                 ///< the worker's number of the function
  std::uint32_t callable = 0;            ///< likewise of what all tasks share; 0: each has its own
  std::uint64_t first = 0;               ///< the index of the first task
  std::uint32_t attempt = 1;
  std::uint32_t worker = 0;
};
static_assert(sizeof(TasksHead) == 40);

/// Appends what the encoder has of a task, preceded by its length. Throws LimitExceeded where it is
/// too long; then nothing is appended.
void append_task(ipc::FieldWriter& frame, std::size_t task, const Encoder& encoder,
                 workers::SegmentSender& sender);

}  // namespace hoist::detail::backends
