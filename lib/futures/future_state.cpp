// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/detail/future_state.hpp>
#include <hoist/detail/submission.hpp>
#include <hoist/error.hpp>

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>

#include "base/spin.hpp"
#include "futures/executor_loop.hpp"
#include "os/fork_hook.hpp"
#include "os/futex.hpp"
#include "os/process_id.hpp"

namespace hoist::detail {

namespace {

/// The lists of continuations of all futures share these, so that a future needs no mutex of its
/// own.
using CompanyLocks = std::array<std::mutex, 64>;
constinit os::PerProcess<CompanyLocks> company_locks;

std::mutex& lock_of(const FutureState& state) {
  const auto address = reinterpret_cast<std::uintptr_t>(&state);
  return company_locks.here()[address / 64 % std::tuple_size_v<CompanyLocks>];
}

}  // namespace

FutureState::FutureState() : process_(os::pid_of(os::own_process())) {}
FutureState::~FutureState() = default;

std::exception_ptr FutureState::error() const {
  if (status() == Status::done) return nullptr;
  if (error_) return error_;
  return std::make_exception_ptr(Cancelled("the future was cancelled before its call began"));
}

void FutureState::check() const {
  if (status() != Status::done) std::rethrow_exception(error());
}

bool FutureState::claim(Status next, bool from_running) noexcept {
  std::uint32_t word = word_.load(std::memory_order_relaxed);
  for (;;) {
    const Status now = of(word);
    if (now != Status::pending && !(from_running && now == Status::running)) return false;
    const std::uint32_t wanted = (word & ~status_bits) | static_cast<std::uint32_t>(next);
    if (word_.compare_exchange_weak(word, wanted, std::memory_order_acq_rel,
                                    std::memory_order_relaxed)) {
      return true;
    }
  }
}

void FutureState::complete(Status status) noexcept {
  const std::uint32_t before =
      word_.exchange(static_cast<std::uint32_t>(status), std::memory_order_acq_rel);
  if ((before & has_sleepers) != 0) os::wake_all(word_, os::Sharing::threads);
  if ((before & has_company) != 0) tell_company();
}

/// Also waits for those that are just joining, who may then rely on what the future belongs to.
void FutureState::tell_company() noexcept {
  Continuation* latest = nullptr;
  {
    const std::lock_guard lock(lock_of(*this));
    latest = std::exchange(continuations_, nullptr);
  }
  Continuation* first = nullptr;
  while (latest != nullptr) {
    Continuation* const next = std::exchange(latest->next_, first);
    first = std::exchange(latest, next);
  }
  while (first != nullptr) std::exchange(first, first->next_)->completed();
}

bool FutureState::abandon(std::exception_ptr reason, bool running) noexcept {
  if (!claim(Status::settling, running)) return false;
  set_error(std::move(reason));
  complete(Status::cancelled);
  return true;
}

void FutureState::end_in_child() {
  if (process_ == os::pid_of(os::own_process()) || is_done()) return;
  {
    // Those who wait for it are threads of the parent, and the callbacks its own.
    const std::lock_guard lock(lock_of(*this));
    continuations_ = nullptr;
  }
  set_error(std::make_exception_ptr(
      Cancelled("the call of this future is in the parent of this process")));
  complete(Status::cancelled);
}

std::shared_ptr<futures::ExecutorLoop> FutureState::loop() {
  end_in_child();
  const std::lock_guard lock(lock_of(*this));
  if (of(word_.fetch_or(has_company, std::memory_order_acq_rel)) >= Status::done) return nullptr;
  return source_ != nullptr ? source_->shared_from_this() : nullptr;
}

bool FutureState::cancel_pending() {
  if (!claim(Status::settling)) return false;
  // What it holds is not to wait until a worker comes across it.
  if (auto* const call = dynamic_cast<Submission*>(this)) call->drop_call();
  complete(Status::cancelled);
  return true;
}

bool FutureState::cancel() {
  const std::shared_ptr<futures::ExecutorLoop> loop = this->loop();
  if (!cancel_pending() && (loop == nullptr || !loop->end(*this))) {
    return status() == Status::cancelled;
  }
  if (loop != nullptr) loop->wake_waiters();
  return true;
}

bool FutureState::add(Continuation& continuation, bool urgent) {
  end_in_child();
  const std::shared_ptr<futures::ExecutorLoop> its = urgent ? loop() : nullptr;
  {
    const std::lock_guard lock(lock_of(*this));
    if (of(word_.fetch_or(has_company, std::memory_order_acq_rel)) >= Status::done) return false;
    continuation.next_ = std::exchange(continuations_, &continuation);
  }
  if (its != nullptr) its->lead_in_background();
  return true;
}

bool FutureState::remove(Continuation& continuation) {
  const std::lock_guard lock(lock_of(*this));
  for (Continuation** link = &continuations_; *link != nullptr; link = &(*link)->next_) {
    if (*link != &continuation) continue;
    *link = continuation.next_;
    return true;
  }
  return false;
}

bool FutureState::wait(Deadline deadline) {
  const std::shared_ptr<futures::ExecutorLoop> loop = this->loop();
  const futures::BlockedTask blocked;
  return loop != nullptr ? loop->await(*this, deadline) : sleep(deadline);
}

bool FutureState::sleep(Deadline deadline) {
  if (base::spin_until([this] { return is_done(); })) return true;
  std::uint32_t word = word_.load(std::memory_order_acquire);
  while (of(word) < Status::done) {
    if ((word & has_sleepers) == 0 &&
        !word_.compare_exchange_weak(word, word | has_sleepers, std::memory_order_acq_rel,
                                     std::memory_order_acquire)) {
      continue;
    }
    os::sleep_while(word_, word | has_sleepers, deadline, os::Sharing::threads);
    word = word_.load(std::memory_order_acquire);
    if (of(word) < Status::done && std::chrono::steady_clock::now() >= deadline) return false;
  }
  return true;
}

}  // namespace hoist::detail
