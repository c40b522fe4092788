// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/process.hpp>

#include <memory>
#include <string>

#include "processes/peer.hpp"

namespace hoist::detail::processes {

/// Starts a child of that name and number. In a forked child does not return, but calls `in_child`,
/// then the work.
std::shared_ptr<Peer> start_process(const ProcessOptions& options, const std::string& number,
                                    ProcessWork& work, const std::function<void()>& in_child);

}  // namespace hoist::detail::processes
