// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/detail/future_calls.hpp>
#include <hoist/detail/future_sets.hpp>

#include <hoist/error.hpp>

#include <chrono>
#include <string>
#include <thread>
#include <utility>

#include "base/seconds_text.hpp"

namespace hoist::detail {

Deadline deadline_of(const TimeLimit& limit) {
  if (!limit.is_set()) return Deadline::max();
  return deadline_after(std::chrono::duration<double>(limit.seconds()));
}

void await(FutureState& state, const TimeLimit& timeout) {
  if (state.wait_until(deadline_of(timeout))) return;
  throw TimedOut("the result was not there within " + base::seconds_text(timeout.seconds()));
}

bool is_running(const FutureState& state) noexcept {
  return state.status() > FutureState::Status::pending &&
         state.status() < FutureState::Status::done;
}

void throw_no_future() {
  throw BadArgument("this Future refers to no result: it was made without one, or moved from");
}

void throw_unfinished(std::size_t unfinished, std::size_t all) {
  throw TimedOut(std::to_string(unfinished) + " (of " + std::to_string(all) +
                 ") futures are unfinished at the time limit");
}

bool claim_for_settling(FutureState& state) {
  if (state.claim_to_settle()) return true;
  // Somebody may just be cancelling it.
  const auto enough = std::chrono::steady_clock::now() + std::chrono::seconds(1);
  while (state.status() == FutureState::Status::settling &&
         std::chrono::steady_clock::now() < enough) {
    std::this_thread::yield();
  }
  if (state.status() == FutureState::Status::cancelled) return false;
  throw BadArgument("the result of a future was set twice");
}

void fail_like(FutureState& state, const FutureState& failed) {
  if (!state.claim_to_settle()) return;
  state.set_error(failed.error());
  state.complete(failed.status());
}

bool settle_error(FutureState& state, std::exception_ptr error) {
  if (error == nullptr) throw BadArgument("set_exception() was called with a null pointer");
  if (!claim_for_settling(state)) return false;
  state.set_error(std::move(error));
  state.complete(FutureState::Status::failed);
  return true;
}

void abandon_promise(FutureState& state) {
  state.abandon(std::make_exception_ptr(Cancelled(
                    "the Promise of this future was destroyed without having set a result")),
                true);
}

}  // namespace hoist::detail
