// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/future_calls.hpp>

#include <atomic>
#include <cstddef>
#include <exception>
#include <iterator>
#include <memory>
#include <ranges>
#include <tuple>
#include <unordered_set>
#include <utility>
#include <vector>

// What the functions of hoist/future.hpp for several futures are made of.

namespace hoist::detail {

template <class Range>
using FutureOf = std::remove_cvref_t<std::ranges::range_reference_t<Range>>;

/// TimedOut for as_completed.
[[noreturn]] void throw_unfinished(std::size_t unfinished, std::size_t all);

template <template <class> class Waited, class Range>
auto wait_for(Range& futures, int when, const TimeLimit& timeout) {
  constexpr int first_completed = 0;
  constexpr int first_exception = 1;
  using One = FutureOf<Range&>;
  const Deadline deadline = deadline_of(timeout);
  std::vector<One> all;
  std::unordered_set<const FutureState*> known;
  FutureGroup group;
  for (const One& future : futures) {
    if (!known.insert(future.shared_state().get()).second) continue;
    group.add(future.shared_state(), all.size());
    all.push_back(future);
  }
  bool enough = false;
  while (!enough && group.left() > 0) {
    const auto number = group.next(deadline);
    if (!number) break;
    enough = when == first_completed ||
             (when == first_exception &&
              all[*number].shared_state()->status() == FutureState::Status::failed);
  }
  Waited<typename One::value_type> waited;
  for (One& future : all) {
    (future.done() ? waited.done : waited.not_done).push_back(std::move(future));
  }
  return waited;
}

/// An input range of `One`, which is a Future.
template <class One>
class CompletedFutures {
 public:
  template <class Range>
  CompletedFutures(Range& futures, const TimeLimit& timeout)
      : deadline_(deadline_of(timeout)), group_(std::make_unique<FutureGroup>()) {
    std::unordered_set<const FutureState*> known;
    for (const One& future : futures) {
      if (!known.insert(future.shared_state().get()).second) continue;
      group_->add(future.shared_state(), futures_.size());
      futures_.push_back(future);
    }
  }

  class Iterator {
   public:
    using value_type = One;
    using difference_type = std::ptrdiff_t;
    using iterator_concept = std::input_iterator_tag;

    Iterator() = default;
    explicit Iterator(CompletedFutures* owner) : owner_(owner) {}
    One& operator*() const { return owner_->current_; }
    One* operator->() const { return &owner_->current_; }
    Iterator& operator++() {
      owner_->advance();
      return *this;
    }
    void operator++(int) { ++*this; }
    bool operator==(std::default_sentinel_t) const { return !owner_->current_.valid(); }

   private:
    CompletedFutures* owner_ = nullptr;
  };
  Iterator begin() {
    if (!current_.valid()) advance();
    return Iterator(this);
  }
  std::default_sentinel_t end() const noexcept { return {}; }

 private:
  void advance() {
    current_ = One();
    if (group_->left() == 0) return;
    const auto number = group_->next(deadline_);
    if (!number) throw_unfinished(group_->left(), futures_.size());
    current_ = std::move(futures_[*number]);
  }

  Deadline deadline_;
  std::vector<One> futures_;
  std::unique_ptr<FutureGroup> group_;
  One current_;
};

/// Calls `finish()` when all of several futures have a result, and fails the target with the first
/// error.
template <class U, class Finish>
struct Gathering {
  StatePointer<FutureValue<U>> target;
  std::atomic<std::size_t> left;
  Finish finish;

  Gathering(StatePointer<FutureValue<U>> to, std::size_t count, Finish f)
      : target(std::move(to)), left(count), finish(std::move(f)) {}
  void one_done(const FutureState& state) {
    if (state.status() != FutureState::Status::done) {
      fail_like(*target, state);
    } else if (left.fetch_sub(1) == 1) {
      settle(*target, finish);
    }
  }
};

template <class R>
Kept<R> kept_of(const Future<R>& future) {
  return future.shared_state()->value();
}

template <class... R>
auto all_of_tuple(const Future<R>&... futures) {
  using U = std::tuple<Kept<R>...>;
  StatePointer<FutureValue<U>> target(new FutureValue<U>);
  const auto finish = [futures...] { return U(kept_of<R>(futures)...); };
  if constexpr (sizeof...(R) == 0) {
    settle(*target, finish);
  } else {
    auto all = std::make_shared<Gathering<U, decltype(finish)>>(target, sizeof...(R), finish);
    (call_when_done(*futures.shared_state(),
                    [all, futures] { all->one_done(*futures.shared_state()); }),
     ...);
  }
  return Future<U>(target);
}

template <class Range>
auto all_of_range(Range& futures) {
  using One = FutureOf<Range&>;
  using R = typename One::value_type;
  using U = std::vector<Kept<R>>;
  StatePointer<FutureValue<U>> target(new FutureValue<U>);
  std::vector<One> given;
  for (const One& future : futures) given.push_back(future);
  const auto finish = [given] {
    U results;
    results.reserve(given.size());
    for (const One& future : given) results.push_back(kept_of<R>(future));
    return results;
  };
  if (given.empty()) {
    settle(*target, finish);
  } else {
    auto all = std::make_shared<Gathering<U, decltype(finish)>>(target, given.size(), finish);
    for (const One& one : given) {
      call_when_done(*one.shared_state(), [all, one] { all->one_done(*one.shared_state()); });
    }
  }
  return Future<U>(target);
}

}  // namespace hoist::detail
