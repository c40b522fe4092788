// SPDX-License-Identifier: BSD-3-Clause
#include "workers/result_sender.hpp"

#include "ipc/shared_bytes.hpp"
#include "os/memory_file.hpp"

namespace hoist::detail::workers {

SegmentPlace ResultSender::place(const Segment& segment) {
  const auto& owner = segment.owner;
  const bool written = owner != nullptr && owner->passing() == Storage::Passing::written;
  if (written && (next_ > max_segments || owner->backing().fd < 0)) throw_writes_lost();
  if ((segment.bytes < shared_from_ && !written) || next_ > max_segments) return {};
  const std::uint32_t number = next_++;
  const Storage::Backing backing = owner != nullptr ? owner->backing() : Storage::Backing{};
  const bool unshared = owner != nullptr && owner.use_count() <= holders_ && owner->writable() &&
                        ipc::is_born_shared(*owner);
  if (backing.fd >= 0 && (written || unshared)) {
    const auto offset = backing.offset + static_cast<std::uint64_t>(segment.data - owner->data());
    tell_(announcement(number, offset + segment.bytes, written).bytes(), backing.fd);
    return {number, offset};
  }
  const os::Fd copy = os::memory_copy("hoist-array", {segment.data, segment.bytes});
  tell_(announcement(number, segment.bytes).bytes(), copy.get());
  return {number, 0};
}

}  // namespace hoist::detail::workers
