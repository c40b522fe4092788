// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/message_queue.hpp>
#include <hoist/detail/shared_handle.hpp>

#include <functional>

// Waits without a thread of their own for what other processes change in shared memory: what
// async_get() and the like consist of.

namespace hoist {
class Event;
}

namespace hoist::detail {

class ConnectionHandle;

namespace os {
struct Bell;
}

/// What is waited for.
struct Change {
  SharedBlock block;               ///< keeps the bell
  os::Bell* bell;                  ///< is rung when is_ready() may have changed
  std::function<bool()> is_ready;  ///< holds what it looks at; what it throws counts as ready
};

/// Something can be received, or will never be.
Change when_readable(const MessageQueue& queue);
Change when_readable(const ConnectionHandle& connection);
/// More room than there is at the time of this call, or none is needed any more.
Change when_writable(const MessageQueue& queue);
/// The event is set, or was since this call.
Change when_set(const Event& event);

/// Is told once that something is ready.
class Watch {
 public:
  /// Called by the thread that watches; to be short. The watch may be destroyed in it.
  virtual void ready() noexcept = 0;

 protected:
  ~Watch() = default;
};

/// Has a thread of this process, which all watches share, tell the watch. Throws SystemError where
/// there can be no thread.
void watch(Watch& watch, Change change);
/// Takes it back. False if it is being told, or was.
bool unwatch(Watch& watch);

}  // namespace hoist::detail
