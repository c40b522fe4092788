// SPDX-License-Identifier: BSD-3-Clause
#include "remote/printed.hpp"

#include "ipc/channel.hpp"

namespace hoist::detail::remote {

workers::OutputLines::Put Printed::put(Peer master, std::uint32_t worker, int to) {
  return [this, master, worker, to](std::string text, std::function<void()> written) {
    {
      const std::lock_guard lock(mutex_);
      lines_.push_back({master, worker, to, std::move(text)});
      unwritten_[{master, to}].push_back(std::move(written));
      any_.store(true, std::memory_order_release);
    }
    ipc::BellBoard::here().bell(bell_).ring();
  };
}

std::vector<Printed::Lines> Printed::take() {
  const std::lock_guard lock(mutex_);
  any_.store(false, std::memory_order_release);
  return std::exchange(lines_, {});
}

void Printed::note_written(Peer master, int to) {
  std::function<void()> written;
  {
    const std::lock_guard lock(mutex_);
    auto& waiting = unwritten_[{master, to}];
    if (waiting.empty()) return;
    written = std::move(waiting.front());
    waiting.pop_front();
  }
  written();  // may put more
}

void Printed::forget(Peer master) {
  const std::lock_guard lock(mutex_);
  std::erase_if(lines_, [master](const Lines& one) { return one.master == master; });
  for (const int to : {1, 2}) unwritten_.erase({master, to});
}

}  // namespace hoist::detail::remote
