// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/deadline.hpp>
#include <hoist/detail/loop_results.hpp>

#include <atomic>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

namespace hoist::detail {

namespace futures {
class ExecutorLoop;
}

/// Is told once that a future is done.
class Continuation {
 public:
  virtual ~Continuation() = default;
  /// Called by the thread that has completed the future; it holds no lock. To be short. The
  /// continuation may be destroyed in it.
  virtual void completed() noexcept = 0;

 private:
  friend class FutureState;
  Continuation* next_ = nullptr;
};

/// What all handles of a future share, but for its value. It is completed once: its value or error
/// is set by the one thread that has claimed that, and then complete() publishes it. Thread-safe.
class FutureState {
 public:
  enum class Status : std::uint32_t {
    pending,
    running,
    lent,      ///< it runs in a thread that waited for it
    settling,  ///< its value or error is being set by a Promise
    done,
    failed,
    cancelled,
  };

  FutureState();
  FutureState(const FutureState&) = delete;
  FutureState& operator=(const FutureState&) = delete;
  virtual ~FutureState();

  void add_reference() noexcept { references_.fetch_add(1, std::memory_order_relaxed); }
  void drop_reference() noexcept {
    if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }
  /// Whether the caller has the only reference.
  bool is_unique() const noexcept { return references_.load(std::memory_order_acquire) == 1; }

  Status status() const noexcept { return of(word_.load(std::memory_order_acquire)); }
  bool is_done() const noexcept { return status() >= Status::done; }
  /// Null for a value. Only where it is done.
  std::exception_ptr error() const;
  /// Throws the error, if there is one. Only where it is done.
  void check() const;

  /// Returns whether it is done in time.
  bool wait_until(Deadline deadline) { return is_done() || wait(deadline); }
  /// Cancels it where it hasn't begun, or where its executor can end it.
  bool cancel();
  /// Only where it hasn't begun.
  bool cancel_pending();
  /// Adds one that is told when the future is done. False, and it is not told, if it is already.
  /// `urgent`: no thread will wait for it, so that its executor's own has to see to it.
  bool add(Continuation& continuation, bool urgent = true);
  /// Takes one back. False if it is being told, or was.
  bool remove(Continuation& continuation);

  /// From pending to another status. False from others.
  bool claim(Status next) noexcept { return claim(next, false); }
  /// From pending or running to settling, for a Promise.
  bool claim_to_settle() noexcept { return claim(Status::settling, true); }
  void set_error(std::exception_ptr error) noexcept { error_ = std::move(error); }
  /// Publishes what the claimer has set.
  void complete(Status status) noexcept;
  /// Cancels it for this reason where it is pending; `running`: or runs, and who runs it does not
  /// complete it meanwhile.
  bool abandon(std::exception_ptr reason, bool running) noexcept;

  /// Who runs it, for a call that was submitted. Set before others know the future.
  void set_source(futures::ExecutorLoop& loop) noexcept { source_ = &loop; }
  const void* source() const noexcept { return source_; }

 private:
  friend class FutureGroup;
  friend class futures::ExecutorLoop;
  static constexpr std::uint32_t status_bits = 0xff;
  static constexpr std::uint32_t has_sleepers = 0x100;
  static constexpr std::uint32_t has_company = 0x200;  // continuations, or threads that help

  /// Its executor's, for as long as the caller needs it; null if it has none, or is done.
  std::shared_ptr<futures::ExecutorLoop> loop();
  static Status of(std::uint32_t word) noexcept { return static_cast<Status>(word & status_bits); }
  bool claim(Status next, bool from_running) noexcept;
  /// In a forked child, where nobody will complete what the parent has begun: cancels it.
  void end_in_child();
  bool wait(Deadline deadline);
  /// Sleeps without helping; for threads.
  bool sleep(Deadline deadline);
  void tell_company() noexcept;

  std::atomic<std::uint32_t> word_{0};
  std::atomic<std::uint32_t> references_{1};
  Continuation* continuations_ = nullptr;  // the latest first
  std::exception_ptr error_;
  futures::ExecutorLoop* source_ = nullptr;
  const int process_;  // in which it was made
};

/// With its value.
template <class R>
class FutureValue : public FutureState {
 public:
  template <class Make>
  void set_value(Make&& make) {
    value_.emplace(std::forward<Make>(make)());
  }
  Kept<R>& value() noexcept { return *value_; }
  void drop_value() noexcept { value_.reset(); }

 private:
  std::optional<Kept<R>> value_;
};

/// A counted pointer to a state.
template <class State>
class StatePointer {
 public:
  StatePointer() = default;
  /// Takes over a reference.
  explicit StatePointer(State* state) noexcept : state_(state) {}
  StatePointer(const StatePointer& other) noexcept : state_(other.state_) {
    if (state_ != nullptr) state_->add_reference();
  }
  StatePointer(StatePointer&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
  template <class Derived>
    requires std::derived_from<Derived, State>
  StatePointer(const StatePointer<Derived>& other) noexcept : state_(other.get()) {
    if (state_ != nullptr) state_->add_reference();
  }
  StatePointer& operator=(StatePointer other) noexcept {
    std::swap(state_, other.state_);
    return *this;
  }
  ~StatePointer() {
    if (state_ != nullptr) state_->drop_reference();
  }

  State* get() const noexcept { return state_; }
  State* operator->() const noexcept { return state_; }
  State& operator*() const noexcept { return *state_; }
  explicit operator bool() const noexcept { return state_ != nullptr; }

 private:
  State* state_ = nullptr;
};

/// Throws BadArgument: a Future that was made without a call, or moved from.
[[noreturn]] void throw_no_future();

/// Runs something in the thread of callbacks, one after the other. What it throws is reported on
/// stderr.
class Callback {
 public:
  explicit Callback(const void* owner) noexcept : owner_(owner) {}
  virtual ~Callback() = default;
  virtual void call() = 0;

 private:
  friend void post_callback(Callback* callback) noexcept;
  friend class CallbackThread;
  Callback* next_ = nullptr;
  const void* const owner_;  // the executor of the future, if it has one
};
/// Takes the callback over.
void post_callback(Callback* callback) noexcept;

/// A continuation that runs in the thread of callbacks.
template <class F>
class PostedContinuation final : public Continuation, public Callback {
 public:
  PostedContinuation(const FutureState& state, F f) : Callback(state.source()), f_(std::move(f)) {}
  void completed() noexcept override { post_callback(this); }
  void call() override { f_(); }

 private:
  F f_;
};

/// Calls f() in the thread of callbacks, once the future is done.
template <class F>
void call_when_done(FutureState& state, F&& f) {
  auto* posted = new PostedContinuation<std::decay_t<F>>(state, std::forward<F>(f));
  if (!state.add(*posted)) post_callback(posted);
}

/// Waits until some of several futures are done.
class FutureGroup {
 public:
  FutureGroup();
  FutureGroup(const FutureGroup&) = delete;
  FutureGroup& operator=(const FutureGroup&) = delete;
  /// Forgets those that aren't done.
  ~FutureGroup();

  /// Adds a future under a number above those before; also one that is done already.
  void add(StatePointer<FutureState> state, std::size_t number);
  /// The number of the next one that is done, in the order in which they got so; empty at the
  /// deadline, and if all were returned. The group then no longer keeps that future.
  std::optional<std::size_t> next(Deadline deadline);
  /// How many were added and not returned.
  std::size_t left() const noexcept;

 private:
  struct Shared;
  struct Member;
  bool wait_or_run(Deadline deadline);
  Shared* shared_;
};

}  // namespace hoist::detail
