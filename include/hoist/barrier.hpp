// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/requirements.hpp>

#include <hoist/detail/barrier_action.hpp>
#include <hoist/detail/deadline.hpp>
#include <hoist/detail/shared_handle.hpp>
#include <hoist/error.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <type_traits>
#include <utility>

// Barriers for threads and processes. What hoist/lock.hpp says of handles holds for them.

namespace hoist {

namespace detail::multiprocess {
class BarrierSeat;
}  // namespace detail::multiprocess

/// Lets a fixed number of parties, threads or processes, wait until all of them have come. If a
/// process is killed that waits, or that has a handle and has waited before or got the handle with
/// a task, the barrier breaks: all who wait get BrokenBarrier. Not missed are a forked child that
/// is killed before its first wait (set a time limit), and who is killed in the last millisecond
/// before the others go on. At most 500 processes may use one at a time; one that calls _exit()
/// itself counts as killed.
class Barrier : public detail::SharedHandle {
 public:
  using Action = std::shared_ptr<const detail::BarrierAction>;

  /// Throws BadArgument unless there are 1 to 65535 parties.
  Barrier() : Barrier(1) {}
  explicit Barrier(std::ptrdiff_t parties) : Barrier(parties, nullptr) {}
  /// `action()` is called by the last party to come, before the others go on, which wait for it, if
  /// they have no time limit. It goes with the barrier, so it must travel, as tasks do: handles are
  /// members of a struct with an operator(). What it throws the last party gets, and the barrier
  /// breaks.
  template <class F>
    requires std::is_invocable_v<const F&>
  Barrier(std::ptrdiff_t parties, F action)
      : Barrier(parties, std::make_shared<const detail::ActionOf<F>>(std::move(action))) {}
  Barrier(detail::SharedBlock block, Action action);

  /// Waits for the others. Returns the caller's arrival number, 0 to parties - 1, another for each.
  /// Throws BrokenBarrier.
  std::ptrdiff_t wait() const;
  /// Likewise; after that time the barrier breaks for all who wait.
  template <class Rep, class Period>
  std::ptrdiff_t wait(std::chrono::duration<Rep, Period> timeout) const {
    return wait_until(detail::deadline_after(timeout));
  }
  /// Breaks it: all who wait, and all who come, get BrokenBarrier until reset().
  void abort() const;
  /// Makes it as new; who waits gets BrokenBarrier.
  void reset() const;
  [[nodiscard]] bool broken() const;
  [[nodiscard]] std::ptrdiff_t parties() const;
  /// How many wait at this moment.
  [[nodiscard]] std::ptrdiff_t n_waiting() const;
  /// Null where there is none.
  const Action& action() const noexcept { return action_; }

 private:
  Barrier(std::ptrdiff_t parties, Action action);
  std::ptrdiff_t wait_until(std::chrono::steady_clock::time_point deadline) const;
  void run_action(std::uint64_t round) const;

  std::shared_ptr<detail::multiprocess::BarrierSeat> seat_;
  Action action_;
};

namespace detail {

template <>
struct HandleParts<Barrier> {
  template <class Ar>
  static void send(Ar& ar, const Barrier& barrier) {
    SharedBlock::send(ar, barrier.block());
    if constexpr (!Ar::hashing) {
      ar.scalar(barrier.action() != nullptr);
      if (barrier.action() != nullptr) barrier.action()->send(ar);
    }
  }
  static Barrier receive(Decoder& decoder) {
    SharedBlock own = SharedBlock::receive(decoder);
    std::uint8_t has_action = 0;
    decoder.scalar(has_action);
    return {std::move(own), has_action != 0 ? BarrierAction::receive(decoder) : nullptr};
  }
};

}  // namespace detail

}  // namespace hoist
