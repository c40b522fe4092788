// SPDX-License-Identifier: BSD-3-Clause
#include "workers/result_sender.hpp"

#include "ipc/shared_bytes.hpp"
#include "os/memory_file.hpp"

namespace hoist::detail::workers {

SegmentPlace ResultSender::place(const Segment& segment) {
  if (segment.bytes < shared_from_ || next_ > max_segments) return {};
  const std::uint32_t number = next_++;
  ipc::FieldWriter frame;
  frame.put(number);
  frame.put(std::uint32_t{0});
  // Held by the result and by the segment: nobody else has it.
  const auto& owner = segment.owner;
  if (owner != nullptr && owner.use_count() <= 2 && owner->backing().fd >= 0 && owner->writable() &&
      ipc::is_born_shared(*owner)) {
    const auto offset = static_cast<std::uint64_t>(segment.data - owner->data());
    frame.put(owner->backing().offset + offset + segment.bytes);
    tell_(frame.bytes(), owner->backing().fd);
    return {number, owner->backing().offset + offset};
  }
  const os::Fd copy = os::memory_copy("hoist-array", {segment.data, segment.bytes});
  frame.put(static_cast<std::uint64_t>(segment.bytes));
  tell_(frame.bytes(), copy.get());
  return {number, 0};
}

}  // namespace hoist::detail::workers
