// SPDX-License-Identifier: BSD-3-Clause
#include "remote/printed.hpp"

#include "ipc/channel.hpp"

namespace hoist::detail::remote {

workers::OutputLines::Put Printed::put(Peer master, std::uint32_t worker, int to) {
  return [weak = weak_from_this(), master, worker, to](std::string text,
                                                       std::function<void()> written) {
    const auto self = weak.lock();
    if (self == nullptr) return;
    {
      const std::lock_guard lock(self->mutex_);
      self->lines_.push_back({master, worker, to, std::move(text)});
      self->unwritten_[{master, to}].push_back(std::move(written));
      self->any_.store(true, std::memory_order_release);
    }
    ipc::BellBoard::here().bell(self->bell_).ring();
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
    const auto waiting = unwritten_.find({master, to});
    if (waiting == unwritten_.end() || waiting->second.empty()) return;
    written = std::move(waiting->second.front());
    waiting->second.pop_front();
  }
  written();  // may put more
}

void Printed::forget(Peer master) {
  const std::lock_guard lock(mutex_);
  std::erase_if(lines_, [master](const Lines& one) { return one.master == master; });
  for (const int to : {1, 2}) unwritten_.erase({master, to});
}

}  // namespace hoist::detail::remote
