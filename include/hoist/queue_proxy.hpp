// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/requirements.hpp>

#include <hoist/detail/shared_proxy.hpp>
#include <hoist/queue.hpp>

#include <chrono>
#include <cstddef>
#include <iterator>
#include <optional>

// Queues that a manager makes, with the functions and contracts of those in hoist/queue.hpp. What
// hoist/sync_proxy.hpp says of proxies by a manager's address holds for them: an item that a client
// gets is lost if the client ends before it has it.

namespace hoist {

/// A Queue.
template <class T, class Q = Queue<T>>
class QueueProxy : public detail::SharedProxy<Q> {
 public:
  using detail::SharedProxy<Q>::SharedProxy;

  void put(const T& item) const {
    this->use([](const Q& queue, const T& it) { queue.put(it); }, item);
  }
  template <class Rep, class Period>
  void put(const T& item, std::chrono::duration<Rep, Period> timeout) const {
    this->use([](const Q& queue, const T& it, const auto& time) { queue.put(it, time); }, item,
              timeout);
  }
  [[nodiscard]] bool try_put(const T& item) const {
    return this->use([](const Q& queue, const T& it) { return queue.try_put(it); }, item);
  }
  T get() const {
    return this->use([](const Q& queue) { return queue.get(); });
  }
  template <class Rep, class Period>
  T get(std::chrono::duration<Rep, Period> timeout) const {
    return this->use([](const Q& queue, const auto& time) { return queue.get(time); }, timeout);
  }
  [[nodiscard]] std::optional<T> try_get() const {
    return this->use([](const Q& queue) { return queue.try_get(); });
  }
  [[nodiscard]] std::size_t size() const {
    return this->use([](const Q& queue) { return queue.size(); });
  }
  [[nodiscard]] bool empty() const {
    return this->use([](const Q& queue) { return queue.empty(); });
  }
  [[nodiscard]] bool full() const {
    return this->use([](const Q& queue) { return queue.full(); });
  }
  void close() const {
    this->use([](const Q& queue) { queue.close(); });
  }
  [[nodiscard]] bool closed() const {
    return this->use([](const Q& queue) { return queue.closed(); });
  }
  void put_nowait(const T& item) const {
    this->use([](const Q& queue, const T& it) { queue.put_nowait(it); }, item);
  }
  T get_nowait() const {
    return this->use([](const Q& queue) { return queue.get_nowait(); });
  }
  [[nodiscard]] std::size_t qsize() const { return size(); }

  using Iterator = detail::QueueIterator<QueueProxy, T>;
  Iterator begin() const { return Iterator(*this); }
  std::default_sentinel_t end() const { return {}; }
};

/// A JoinableQueue.
template <class T>
class JoinableQueueProxy : public QueueProxy<T, JoinableQueue<T>> {
 public:
  using QueueProxy<T, JoinableQueue<T>>::QueueProxy;

  void task_done() const {
    this->use([](const JoinableQueue<T>& queue) { queue.task_done(); });
  }
  void join() const {
    this->use([](const JoinableQueue<T>& queue) { queue.join(); });
  }
  template <class Rep, class Period>
  bool join(std::chrono::duration<Rep, Period> timeout) const {
    return this->use(
        [](const JoinableQueue<T>& queue, const auto& time) { return queue.join(time); }, timeout);
  }
};

}  // namespace hoist
