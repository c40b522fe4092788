// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <optional>
#include <span>

#include "backends/in_flight.hpp"
#include "ipc/channel.hpp"
#include "workers/payload.hpp"

namespace hoist::detail::backends {

/// Settles the tasks whose results, or whose error, are in this frame of a worker, or takes what
/// tasks depended on. Returns how many were settled; nothing for a frame of another kind.
/// `segments` has the memory files that came for the frame, and is empty afterwards. The first
/// `known` results are settled already. Throws DamagedData.
std::optional<std::size_t> settle_frame(InFlight& tasks, ipc::Kind kind,
                                        std::span<const std::byte> content,
                                        workers::SegmentTable& segments, std::size_t known = 0);

}  // namespace hoist::detail::backends
