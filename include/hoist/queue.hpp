// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/requirements.hpp>

#include <hoist/detail/async.hpp>
#include <hoist/detail/deadline.hpp>
#include <hoist/detail/message_queue.hpp>
#include <hoist/error.hpp>

#include <chrono>
#include <cstddef>
#include <iterator>
#include <optional>
#include <utility>

// Queues that bring items from any threads and processes to any others, after Python's
// multiprocessing, safe against processes that are killed.
//
// A queue is a handle, like a lock (hoist/lock.hpp): copies, and what tasks and processes get of
// it, are the same queue. It takes two descriptors. All functions may be called from several
// threads and processes at a time.
//
// put() encodes its item and writes it to shared memory before it returns: errors of encoding are
// the caller's, and nothing half-written is ever seen. Items of one producer arrive in their order.
// An item that was put is there even if its producer dies. A process that is killed takes at most
// the item with it that it was about to get.
//
// A wait that can't end is an EndOfStream after two seconds: no other process has the queue any
// more, and the one that waits has no other thread. That is known of queues which processes got as
// a Process or by fork; one that was sent otherwise (as an argument of a worker's task, in an item)
// may be anywhere. So let go of a queue that you don't use, for others to see the end.
//
// Items may be any values that tasks take, of any size; large arrays in them (8 MiB and more) go by
// memory files of their own and are not copied again. Locks, queues and the like are passed as the
// handles they are; an item may have 64 of their descriptors.

namespace hoist {

/// Options of a Queue.
struct QueueOptions {
  /// So many items may wait; 0: as many as `max_bytes` allows.
  std::size_t maxsize = 0;
  /// So many bytes of them. Memory is set aside as it is needed, 64 KiB at least. An item that is
  /// larger goes through all the same, while somebody gets it.
  std::size_t max_bytes = std::size_t{256} << 20;
};

namespace detail {

/// Gets items from a queue until it is closed and empty.
template <class Q, class T>
class QueueIterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = T;
  using difference_type = std::ptrdiff_t;
  using pointer = T*;
  using reference = T&;

  explicit QueueIterator(const Q& queue) : queue_(&queue) { ++*this; }
  T& operator*() const { return *item_; }
  T* operator->() const { return &*item_; }
  QueueIterator& operator++() {
    item_.reset();
    try {
      item_.emplace(queue_->get());
    } catch (const Closed&) {
      // The end.
    }
    return *this;
  }
  void operator++(int) { ++*this; }
  bool operator==(std::default_sentinel_t) const { return !item_; }

 private:
  const Q* queue_;
  mutable std::optional<T> item_;
};

}  // namespace detail

/// A first-in, first-out queue of T, which is a value that tasks take: no pointer and no view.
template <class T>
class Queue : public detail::MessageQueue {
  static_assert(
      detail::is_message<T>(),
      "hoist: items of a queue are values that can be sent to another process: a struct of "
      "values, or a class with a default constructor and serialize(); no pointers and no "
      "views");

 public:
  /// Limited by bytes alone.
  Queue() : Queue(QueueOptions{}) {}
  /// At most so many items wait; 0: no such limit.
  explicit Queue(std::size_t maxsize) : Queue(QueueOptions{.maxsize = maxsize}) {}
  /// Throws SystemError where there is no memory or no descriptor left.
  explicit Queue(const QueueOptions& options) : Queue(options, false) {}
  explicit Queue(detail::MessageQueue queue) : MessageQueue(std::move(queue)) {}

  /// Adds an item, after waiting for room. Throws Closed; EndOfStream where nobody is left to make
  /// room; CannotTravel for an item that can't be sent; SystemError where memory is short.
  void put(const T& item) const { put_until(item, detail::Deadline::max()); }
  /// Likewise. Throws Full if there is no room in time.
  template <class Rep, class Period>
  void put(const T& item, std::chrono::duration<Rep, Period> timeout) const {
    if (!put_until(item, detail::deadline_after(timeout))) throw_full();
  }
  /// Adds an item if there is room now. May take a moment (100 ms at most) while others have their
  /// turn, as may all that only try.
  [[nodiscard]] bool try_put(const T& item) const { return put_until(item, detail::Deadline()); }

  /// Takes the oldest item, after waiting for one. Throws Closed if the queue is, and none is left;
  /// EndOfStream where nobody is left to put one; errors of decoding, with which the item is gone.
  /// Others that have the queue may still put something, whatever becomes of its producers: if you
  /// depend on these, use a time limit, or wait_any with them.
  T get() const { return *get_until(detail::Deadline::max()); }
  /// Likewise. Throws Empty if there is none in time.
  template <class Rep, class Period>
  T get(std::chrono::duration<Rep, Period> timeout) const {
    auto item = get_until(detail::deadline_after(timeout));
    if (!item) throw_empty();
    return *std::move(item);
  }
  /// The oldest item, if there is one now.
  [[nodiscard]] std::optional<T> try_get() const { return get_until(detail::Deadline()); }

  /// As put() and get(), for coroutines and other completion tokens: see hoist/asio.hpp. An item
  /// that is larger than the queue is a BadArgument. Cancelling takes nothing out of the queue.
  template <class Token = detail::DefaultToken>
  auto async_put(T item, Token&& token = {}) const {
    return detail::async<Token>().template put<T>(*this, std::move(item), token);
  }
  template <class Token = detail::DefaultToken>
  auto async_get(Token&& token = {}) const {
    return detail::async<Token>().template get<T>(*this, token);
  }

  /// How many wait, at this moment.
  [[nodiscard]] std::size_t size() const { return MessageQueue::size(); }
  [[nodiscard]] bool empty() const { return is_empty(); }
  /// Whether `maxsize` items wait, or `max_bytes` are used up.
  [[nodiscard]] bool full() const { return is_full(); }

  /// For all processes: put() throws Closed from now on, get() once the queue is empty.
  void close() const { MessageQueue::close(); }
  [[nodiscard]] bool closed() const { return is_closed(); }

  /// By the names of Python; Full and Empty are thrown where one would have to wait.
  void put_nowait(const T& item) const {
    if (!try_put(item)) throw_full();
  }
  T get_nowait() const {
    auto item = try_get();
    if (!item) throw_empty();
    return *std::move(item);
  }
  [[nodiscard]] std::size_t qsize() const { return size(); }

  /// Gets items until the queue is closed and empty: `for (T item : queue)`.
  using Iterator = detail::QueueIterator<Queue, T>;
  Iterator begin() const { return Iterator(*this); }
  std::default_sentinel_t end() const { return {}; }

 protected:
  Queue(const QueueOptions& options, bool counts_tasks)
      : MessageQueue({options.maxsize, options.max_bytes},
                     {.tasks = counts_tasks, .holders = true}) {}

 private:
  bool put_until(const T& item, detail::Deadline deadline) const {
    return detail::put_value<T>(*this, item, deadline);
  }
  std::optional<T> get_until(detail::Deadline deadline) const {
    return detail::get_value<T>(*this, deadline);
  }
  [[noreturn]] static void throw_full() { throw Full("the queue is full"); }
  [[noreturn]] static void throw_empty() { throw Empty("the queue is empty"); }
};

/// A Queue whose producers can wait until all items were dealt with. At most 500 processes may have
/// items in hand at a time.
template <class T>
class JoinableQueue : public Queue<T> {
 public:
  JoinableQueue() : JoinableQueue(QueueOptions{}) {}
  explicit JoinableQueue(std::size_t maxsize) : JoinableQueue(QueueOptions{.maxsize = maxsize}) {}
  explicit JoinableQueue(const QueueOptions& options) : Queue<T>(options, true) {}
  explicit JoinableQueue(detail::MessageQueue queue) : Queue<T>(std::move(queue)) {}

  /// Says that an item, which this process or another got, has been dealt with. Throws BadArgument
  /// if all were.
  void task_done() const { detail::MessageQueue::task_done(); }
  /// Waits until task_done() has been called for every item that was put. Throws OwnerDied if a
  /// process has died that had got items and not said so for all; the next call waits for the
  /// others. Throws EndOfStream where nobody is left who could do what remains.
  void join() const { detail::MessageQueue::join(detail::Deadline::max()); }
  /// Likewise; false if the time is over first.
  template <class Rep, class Period>
  bool join(std::chrono::duration<Rep, Period> timeout) const {
    return detail::MessageQueue::join(detail::deadline_after(timeout));
  }
};

/// The same as a Queue without a limit of items, for programs that use Python's name.
template <class T>
class SimpleQueue : public Queue<T> {
 public:
  SimpleQueue() = default;
  explicit SimpleQueue(detail::MessageQueue queue) : Queue<T>(std::move(queue)) {}
};

}  // namespace hoist
