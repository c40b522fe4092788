// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <functional>
#include <span>

#include "workers/payload.hpp"

namespace hoist::detail::workers {

/// Hands a result's large blocks to the parent: as they are, where they were born in shared memory
/// and nobody here keeps them, else copied once. Of a result that has very many, the rest goes
/// inline.
class ResultSender final : public SegmentSender {
 public:
  /// `tell(content, fd)` sends a segment frame and its descriptor. So many hold a block that nobody
  /// keeps: the result and the segment, or the segment alone.
  ResultSender(std::size_t shared_from, std::function<void(std::span<const std::byte>, int)> tell,
               long holders = 2)
      : shared_from_(shared_from), tell_(std::move(tell)), holders_(holders) {}
  SegmentPlace place(const Segment& segment) override;
  /// The next result's blocks are counted from 1 again.
  void restart() { next_ = 1; }

 private:
  std::size_t shared_from_;
  std::function<void(std::span<const std::byte>, int)> tell_;
  long holders_;
  std::uint32_t next_ = 1;
};

}  // namespace hoist::detail::workers
