// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/requirements.hpp>

#include <hoist/detail/shared_proxy.hpp>
#include <hoist/queue.hpp>

#include <chrono>
#include <cstddef>
#include <iterator>
#include <optional>

// Queues that a manager makes, with the functions and contracts of those in hoist/queue.hpp. Where
// memory is shared with the server a proxy has the queue itself, at its cost; what
// hoist/sync_proxy.hpp says of proxies by a manager's address holds for the others. These encode an
// item twice, and one that a client was about to get is lost if the client ends before it has it.
//
// Besides what each function says, all throw what a call of a managed object throws
// (hoist/manager.hpp): ManagerDied where the server is gone, for example. All may be
// called by several threads at a time; each waits only for itself.

namespace hoist {

/// A Queue of T in the server, or, as `Q`, another kind of it. A value: copies are the same queue.
template <class T, class Q = Queue<T>>
class QueueProxy : public detail::SharedProxy<Q> {
 public:
  using detail::SharedProxy<Q>::SharedProxy;

  /// Adds an item, after waiting for room. Throws Closed; EndOfStream where nobody is left to make
  /// room; CannotTravel for an item that can't be sent.
  void put(const T& item) const {
    this->use([](const Q& queue, const T& it) { queue.put(it); }, item);
  }
  /// Likewise. Throws Full if there is no room in time; the way to the server is not counted.
  template <class Rep, class Period>
  void put(const T& item, std::chrono::duration<Rep, Period> timeout) const {
    this->use([](const Q& queue, const T& it, const auto& time) { queue.put(it, time); }, item,
              timeout);
  }
  /// Whether there was room. Throws as put() does.
  [[nodiscard]] bool try_put(const T& item) const {
    return this->use([](const Q& queue, const T& it) { return queue.try_put(it); }, item);
  }
  /// Takes the oldest item, after waiting for one. Throws Closed if the queue is, and none is left;
  /// EndOfStream where nobody is left to put one.
  T get() const {
    return this->use([](const Q& queue) { return queue.get(); });
  }
  /// Likewise. Throws Empty if there is none in time; the way to the server is not counted.
  template <class Rep, class Period>
  T get(std::chrono::duration<Rep, Period> timeout) const {
    return this->use([](const Q& queue, const auto& time) { return queue.get(time); }, timeout);
  }
  /// The oldest item, if there is one now. Throws as get() does.
  [[nodiscard]] std::optional<T> try_get() const {
    return this->use([](const Q& queue) { return queue.try_get(); });
  }
  // How things stand at the moment of the answer; others may have changed them since.

  /// Items that wait.
  [[nodiscard]] std::size_t size() const {
    return this->use([](const Q& queue) { return queue.size(); });
  }
  [[nodiscard]] bool empty() const {
    return this->use([](const Q& queue) { return queue.empty(); });
  }
  [[nodiscard]] bool full() const {
    return this->use([](const Q& queue) { return queue.full(); });
  }
  /// Nobody can put anything from now on; what waits can still be taken. Nothing the second time.
  void close() const {
    this->use([](const Q& queue) { queue.close(); });
  }
  [[nodiscard]] bool closed() const {
    return this->use([](const Q& queue) { return queue.closed(); });
  }
  /// By the names of Python: Full and Empty are thrown where one would have to wait.
  void put_nowait(const T& item) const {
    this->use([](const Q& queue, const T& it) { queue.put_nowait(it); }, item);
  }
  T get_nowait() const {
    return this->use([](const Q& queue) { return queue.get_nowait(); });
  }
  [[nodiscard]] std::size_t qsize() const { return size(); }

  /// Gets items until the queue is closed and empty: `for (T item : queue)`.
  using Iterator = detail::QueueIterator<QueueProxy, T>;
  Iterator begin() const { return Iterator(*this); }
  std::default_sentinel_t end() const { return {}; }
};

/// A JoinableQueue of T. A client that is killed, or cut off, with items for which it has not
/// called task_done() makes join() throw OwnerDied, as a process on this machine would.
template <class T>
class JoinableQueueProxy : public QueueProxy<T, JoinableQueue<T>> {
 public:
  using QueueProxy<T, JoinableQueue<T>>::QueueProxy;

  /// Says that an item which this process has got is done with. Throws BadArgument if there is
  /// none.
  void task_done() const {
    this->use([](const JoinableQueue<T>& queue) { queue.task_done(); });
  }
  /// Waits until that was said of every item that was put. Throws OwnerDied as above, and
  /// EndOfStream where nobody is left who could do what remains.
  void join() const {
    this->use([](const JoinableQueue<T>& queue) { queue.join(); });
  }
  /// Likewise; false if the time is over first.
  template <class Rep, class Period>
  bool join(std::chrono::duration<Rep, Period> timeout) const {
    return this->use(
        [](const JoinableQueue<T>& queue, const auto& time) { return queue.join(time); }, timeout);
  }
};

}  // namespace hoist
