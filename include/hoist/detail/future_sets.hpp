// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/future_calls.hpp>
#include <hoist/generator.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <memory>
#include <optional>
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

/// Futures that are waited for, each once. `One` is a Future.
template <class One>
struct AwaitedFutures {
  template <class Range>
  explicit AwaitedFutures(Range& futures) {
    std::unordered_set<const FutureState*> known;
    for (const One& future : futures) {
      if (!known.insert(future.shared_state().get()).second) continue;
      group.add(future.shared_state(), all.size());
      all.push_back(future);
    }
  }

  std::vector<One> all;
  FutureGroup group;  // by their places in `all`
};

template <template <class> class Waited, class Range>
auto wait_for(Range& futures, int when, const TimeLimit& timeout) {
  constexpr int first_completed = 0;
  constexpr int first_exception = 1;
  using One = FutureOf<Range&>;
  const Deadline deadline = deadline_of(timeout);
  AwaitedFutures<One> awaited(futures);
  bool enough = false;
  while (!enough && awaited.group.left() > 0) {
    const auto number = awaited.group.next(deadline);
    if (!number) break;
    enough = when == first_completed ||
             (when == first_exception &&
              awaited.all[*number].shared_state()->status() == FutureState::Status::failed);
  }
  Waited<typename One::value_type> waited;
  for (One& future : awaited.all) {
    (future.done() ? waited.done : waited.not_done).push_back(std::move(future));
  }
  return waited;
}

/// The futures of as_completed.
template <class One>
class CompletedFutures final : public Generator<One>::State {
 public:
  template <class Range>
  CompletedFutures(Range& futures, const TimeLimit& timeout)
      : deadline_(deadline_of(timeout)), awaited_(futures) {}

  std::optional<One> next(Deadline deadline) override {
    if (awaited_.group.left() == 0) return std::nullopt;
    const auto number = awaited_.group.next(std::min(deadline, deadline_));
    if (!number) throw_unfinished(awaited_.group.left(), awaited_.all.size());
    return std::move(awaited_.all[*number]);
  }

 private:
  const Deadline deadline_;
  AwaitedFutures<One> awaited_;
};

/// The future of what `finish` makes when all of some futures are done. `fails_early`: it fails
/// with the first error, without waiting for the others.
template <class U, class Finish>
Future<U> when_all_done(const std::vector<StatePointer<FutureState>>& futures, Finish finish,
                        bool fails_early) {
  struct Gathering {
    StatePointer<FutureValue<U>> target;
    std::atomic<std::size_t> left;
    Finish finish;
  };
  StatePointer<FutureValue<U>> target(new FutureValue<U>);
  if (futures.empty()) settle(*target, finish);
  const std::shared_ptr<Gathering> all(new Gathering{target, futures.size(), std::move(finish)});
  for (const auto& future : futures) {
    call_when_done(*future, [all, future, fails_early] {
      if (fails_early && future->status() != FutureState::Status::done) {
        fail_like(*all->target, *future);
      } else if (all->left.fetch_sub(1) == 1) {
        settle(*all->target, all->finish);
      }
    });
  }
  return Future<U>(std::move(target));
}

template <class R>
Kept<R> kept_of(const Future<R>& future) {
  return future.shared_state()->value();
}

template <class... R>
auto all_of_tuple(const Future<R>&... futures) {
  using U = std::tuple<Kept<R>...>;
  return when_all_done<U>(
      {futures.shared_state()...}, [futures...] { return U(kept_of<R>(futures)...); }, true);
}

template <class Range>
auto all_of_range(Range& futures) {
  using One = FutureOf<Range&>;
  using R = typename One::value_type;
  using U = std::vector<Kept<R>>;
  std::vector<One> given;
  std::vector<StatePointer<FutureState>> states;
  for (const One& future : futures) {
    given.push_back(future);
    states.push_back(future.shared_state());
  }
  const auto finish = [given = std::move(given)] {
    U results;
    results.reserve(given.size());
    for (const One& future : given) results.push_back(kept_of<R>(future));
    return results;
  };
  return when_all_done<U>(states, finish, true);
}

}  // namespace hoist::detail
