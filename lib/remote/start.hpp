// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/worker_options.hpp>

#include <cstddef>
#include <span>
#include <vector>

#include "ipc/channel.hpp"

namespace hoist::detail::remote {

/// How a worker is to be started, as far as that travels: all but its initializer, which is a frame
/// of its own.
struct Start {
  WorkerOptions options;
  unsigned threads = 1;
};
void put_start(ipc::FieldWriter& frame, const WorkerOptions& options, unsigned threads);
Start read_start(ipc::FieldReader& frame);

/// The content of a frame `place` for a worker here: where the caller's working directory is not
/// there, any will do.
std::vector<std::byte> place_here(std::span<const std::byte> content);

}  // namespace hoist::detail::remote
