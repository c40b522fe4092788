// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <functional>
#include <vector>

#include "multiprocess/message_content.hpp"
#include "multiprocess/queue_state.hpp"
#include "os/file.hpp"

// The descriptors of messages, which go through the socket of a queue.

namespace hoist::detail::multiprocess {

/// Sends what belongs to the message that is written next. False at the deadline, and when
/// `is_off()`; what was sent by then is dropped by who receives.
bool send_descriptors(QueueState& state, const RingView& view, int socket, MessageContent& content,
                      Clock::time_point deadline, const std::function<bool()>& is_off,
                      const std::function<void()>& look);
/// As many descriptors as a message brings, which make sure that there is room for them. Throws
/// SystemError where there is none.
std::vector<os::Fd> reserve_descriptors(int socket, std::size_t n);
/// Receives those of a message that was taken, and drops older ones, whose messages were never sent
/// or whose receivers died.
void receive_descriptors(QueueState& state, int socket, MessageContent& content,
                         std::vector<os::Fd> reserve);
/// Drops the next; false if there is none.
bool drop_descriptor(int socket);
/// Makes the socket readable. Twice is no harm, as whoever finds it so looks what there is.
void signal(QueueState& state, int socket);

}  // namespace hoist::detail::multiprocess
