// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/asio_descriptors.hpp>
#include <hoist/detail/asio_pending.hpp>
#include <hoist/detail/asio_result.hpp>
#include <hoist/detail/async.hpp>
#include <hoist/detail/watch.hpp>
#include <hoist/pipe.hpp>
#include <hoist/process.hpp>
#include <hoist/queue.hpp>
#include <hoist/sync.hpp>

#include <exception>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <variant>

// The waits for what processes share, as operations of Asio.

namespace hoist::detail {

// An attempt has the Change that would make it worth another try, and is made by try_it(), whose
// argument says whether that change was there; empty if it has to wait for that.

template <class T>
struct Get {
  using Result = T;
  MessageQueue queue;

  Change change() const { return when_readable(queue); }
  std::optional<T> try_it(bool) const { return get_value<T>(queue, Deadline()); }
};

template <class T>
struct Put {
  using Result = void;
  MessageQueue queue;
  T item;

  Change change() const { return when_writable(queue); }
  std::optional<std::monostate> try_it(bool) const {
    MessageRoom room;
    send<T>(room.encoder(), item);
    if (queue.put(room, Deadline())) return std::monostate();
    if (queue.is_outgrown_by(room)) {
      throw BadArgument(
          "async_put: the item is larger than the queue. It can only be written while somebody "
          "reads it: use put(), in a thread, or a larger `max_bytes`");
    }
    return std::nullopt;
  }
};

template <class T, class U>
struct Recv {
  using Result = U;
  Connection<T, U> connection;

  Change change() const { return when_readable(connection); }
  std::optional<U> try_it(bool) const { return connection.try_recv(); }
};

struct WaitForEvent {
  using Result = void;
  Event event;

  Change change() const { return when_set(event); }
  std::optional<std::monostate> try_it(bool was_set) const {
    if (was_set || event.is_set()) return std::monostate();
    return std::nullopt;
  }
};

/// An attempt that a handler waits for.
template <class Attempt, class Handler>
class AwaitedAttempt final : public PendingHandler<Handler>, private Watch {
 public:
  static void start(Handler handler, Attempt attempt, bool was_changed = false) {
    auto* const operation = new AwaitedAttempt(std::move(handler), std::move(attempt));
    const StatePointer<Pending> kept(operation);
    operation->enlist();
    operation->try_it(was_changed);
  }

 private:
  using R = typename Attempt::Result;

  AwaitedAttempt(Handler handler, Attempt attempt)
      : PendingHandler<Handler>(std::move(handler)), attempt_(std::move(attempt)) {}

  void try_it(bool was_changed) {
    try {
      Change change = attempt_->change();  // first, so that no change is missed
      value_ = attempt_->try_it(was_changed);
      if (!value_) {
        this->add_reference();
        try {
          watch(*this, std::move(change));
          return;
        } catch (...) {
          this->drop_reference();
          throw;
        }
      }
    } catch (...) {
      this->post(std::current_exception());
      return;
    }
    this->post();
  }

  void ready() noexcept override {
    this->post();
    this->drop_reference();
  }
  void stop_watching() noexcept {
    if (unwatch(*this)) this->drop_reference();
  }

  void cancel() noexcept override {
    is_cancelled_ = true;  // also where it has just been told, and would try again
    if (this->post(this->aborted())) stop_watching();
  }
  void drop_handler() noexcept override {
    PendingHandler<Handler>::drop_handler();
    stop_watching();
  }

  void call_handler(StatePointer<Pending> self) override {
    Handler handler = this->take_handler();
    std::exception_ptr error = std::move(this->error_);
    Attempt attempt = *std::move(attempt_);
    attempt_.reset();
    std::optional<Kept<R>> value = std::move(value_);
    if (!error && !value && is_cancelled_) error = this->aborted();
    self = {};
    if (error || value) {
      call_with<R>(std::move(handler), std::move(error), std::move(value));
    } else {
      start(std::move(handler), std::move(attempt), true);
    }
  }

  std::optional<Attempt> attempt_;
  std::optional<Kept<R>> value_;
  bool is_cancelled_ = false;
};

struct InitiateAttempt {
  template <class Handler, class Attempt>
  void operator()(Handler&& handler, Attempt attempt) const {
    AwaitedAttempt<Attempt, std::decay_t<Handler>>::start(std::forward<Handler>(handler),
                                                          std::move(attempt));
  }
};

template <class Token>
struct Async {
  template <class T>
  static auto get(const MessageQueue& queue, Token& token) {
    return initiate<T>(InitiateAttempt(), std::forward<Token>(token), Get<T>{queue});
  }
  template <class T>
  static auto put(const MessageQueue& queue, T item, Token& token) {
    return initiate<void>(InitiateAttempt(), std::forward<Token>(token),
                          Put<T>{queue, std::move(item)});
  }
  template <class T, class U>
  static auto recv(const Connection<T, U>& connection, Token& token) {
    return initiate<U>(InitiateAttempt(), std::forward<Token>(token), Recv<T, U>{connection});
  }
  template <class T, class U>
  static auto recv(const SocketConnection<T, U>& connection, Token& token) {
    return initiate<U>(InitiateRecv<T, U>(), std::forward<Token>(token), connection);
  }
  static auto wait(const Event& event, Token& token) {
    return initiate<void>(InitiateAttempt(), std::forward<Token>(token), WaitForEvent{event});
  }
  static auto join(const ProcessHandle& process, Token& token) {
    if constexpr (std::is_same_v<std::remove_cvref_t<Token>, DefaultToken>) {
      return join_process(process, asio::use_awaitable);
    } else {
      return join_process(process, std::forward<Token>(token));
    }
  }
};

}  // namespace hoist::detail
