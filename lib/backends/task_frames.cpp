// SPDX-License-Identifier: BSD-3-Clause
#include "backends/task_frames.hpp"

#include <hoist/error.hpp>
#include <hoist/parallel_options.hpp>

#include <limits>
#include <string>

namespace hoist::detail::backends {

void put_context(ipc::FieldWriter& frame, const Loop& loop, Encoder& encoder) {
  encoder.clear();
  loop.encode_context(encoder);
  frame.put(static_cast<std::uint32_t>(loop.options().mmap_mode.get()));
  frame.put(std::uint32_t{0});
  workers::write_payload(frame, encoder.meta(), encoder.segments(), nullptr);
}

void put_place(ipc::FieldWriter& frame, const os::WorkingPlace& place) {
  frame.put(static_cast<std::uint32_t>(place.umask));
  frame.put(place.floats);
  frame.text(place.directory);
}

void append_task(ipc::FieldWriter& frame, std::size_t task, const Encoder& encoder,
                 workers::SegmentSender& sender) {
  const std::size_t at = frame.size();
  frame.put(std::uint32_t{0});  // patched below: bytes of the payload
  try {
    workers::write_payload(frame, encoder.meta(), encoder.segments(), &sender);
    if (frame.size() - at > std::numeric_limits<std::uint32_t>::max()) {
      throw LimitExceeded("the arguments of task " + std::to_string(task) +
                          " take 4 GiB or more in one message: let max_nbytes share large ones");
    }
  } catch (...) {
    frame.truncate(at);
    throw;
  }
  frame.patch(at, static_cast<std::uint32_t>(frame.size() - at - sizeof(std::uint32_t)));
}

}  // namespace hoist::detail::backends
