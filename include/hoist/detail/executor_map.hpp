// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/executor_handle.hpp>
#include <hoist/future.hpp>
#include <hoist/generator.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <deque>
#include <exception>
#include <limits>
#include <memory>
#include <optional>
#include <ranges>
#include <type_traits>
#include <utility>
#include <vector>

// One function on many items, by an executor: several items make one call.

namespace hoist::detail {

template <class F, class Item>
constexpr auto item_result() {
  if constexpr (std::is_invocable_v<const F&, Item&>) {
    return std::type_identity<std::decay_t<std::invoke_result_t<const F&, Item&>>>{};
  } else {
    static_assert(std::is_invocable_v<const F&, Item>,
                  "map: the function can't be called with an element of the range");
    return std::type_identity<std::decay_t<std::invoke_result_t<const F&, Item>>>{};
  }
}
template <class F, class Item>
using ItemResult = typename decltype(item_result<F, Item>())::type;

/// Calls f with each of some items.
template <class F, class Item>
auto call_chunk(const F& f, std::vector<Item>&& items) {
  using R = ItemResult<F, Item>;
  std::vector<Kept<R>> results;
  results.reserve(items.size());
  for (auto&& item : items) {
    if constexpr (std::is_same_v<Item, bool>) {
      bool value = item;
      results.push_back(kept_result<R>([&] { return std::invoke(f, value); }));
    } else if constexpr (std::is_invocable_v<const F&, Item&>) {
      results.push_back(kept_result<R>([&] { return std::invoke(f, item); }));
    } else {
      results.push_back(kept_result<R>([&] { return std::invoke(f, std::move(item)); }));
    }
  }
  return results;
}

/// Calls a function with the elements of a tuple.
template <class F>
struct Spread {
  F f;

  template <class Tuple>
  auto operator()(Tuple&& tuple) const -> decltype(std::apply(f, std::forward<Tuple>(tuple))) {
    return std::apply(f, std::forward<Tuple>(tuple));
  }
};

/// The results of a chunk.
template <class F, class Item>
using ChunkFuture = Future<std::vector<Kept<ItemResult<F, Item>>>>;

/// Submits calls for the elements of a view, as they are asked for.
template <class View, class F>
class Chunks {
 public:
  using Item = std::ranges::range_value_t<View>;

  Chunks(ExecutorHandle executor, View view, F f, std::size_t chunk)
      : executor_(std::move(executor)), view_(std::move(view)), f_(std::move(f)), chunk_(chunk) {}

  /// Empty at the end of the view. What reading the view throws comes after the items before it.
  std::optional<ChunkFuture<F, Item>> submit_next() {
    if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
    std::vector<Item> items;
    if constexpr (std::ranges::sized_range<View>) {
      items.reserve(std::min<std::size_t>(chunk_, std::ranges::size(view_)));
    }
    try {
      while (items.size() < chunk_ && read(items)) {
      }
    } catch (...) {
      if (items.empty()) throw;
      error_ = std::current_exception();
    }
    if (items.empty()) return std::nullopt;
    return executor_.submit(&call_chunk<F, Item>, f_, std::move(items));
  }

 private:
  using Reference = std::ranges::range_reference_t<View>;

  /// False at the end of the view. It proceeds only when the next item is wanted: the one before is
  /// then submitted already, and need not wait for it.
  bool read(std::vector<Item>& items) {
    if (ended_) return false;
    if (!at_) {
      at_.emplace(std::ranges::begin(view_));
    } else {
      ++*at_;
    }
    ended_ = *at_ == std::ranges::end(view_);
    if (ended_) return false;
    // Once, since it may be the user's code that makes the item.
    Reference item = **at_;
    if constexpr (std::is_same_v<std::remove_cvref_t<Reference>, Item>) check_whole<Item>(item);
    items.push_back(static_cast<Item>(std::forward<Reference>(item)));
    return true;
  }

  ExecutorHandle executor_;
  View view_;
  F f_;
  std::size_t chunk_;
  std::optional<std::ranges::iterator_t<View>> at_;
  bool ended_ = false;
  std::exception_ptr error_;
};

/// Throws BadArgument for 0.
void check_chunk(std::size_t chunk);

/// The results of Executor::map and Pool::imap, in the order of the input or as they come.
template <class View, class F, bool Ordered>
class MapState final
    : public Generator<Kept<ItemResult<F, std::ranges::range_value_t<View>>>>::State {
 public:
  using Item = std::ranges::range_value_t<View>;
  using Yield = Kept<ItemResult<F, Item>>;

  MapState(ExecutorHandle executor, View view, F f, const TimeLimit& timeout, std::size_t chunk,
           std::size_t buffer)
      : chunks_(std::move(executor), std::move(view), std::move(f), chunk),
        deadline_(deadline_of(timeout)),
        buffer_(buffer == 0 ? std::numeric_limits<std::size_t>::max()
                            : std::max<std::size_t>(1, buffer / chunk)) {
    refill();
    // At once where nothing comes before: the executor was shut down, for instance.
    if (error_ && (buffer == 0 || calls_.empty())) std::rethrow_exception(error_);
  }
  ~MapState() override { cancel(); }

  std::optional<Yield> next(Deadline deadline) override {
    while (at_ == results_.size()) {
      if (calls_.empty()) {
        if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
        return std::nullopt;
      }
      std::optional<Call> call = take_call(std::min(deadline, deadline_));
      if (!call && deadline < deadline_) throw_unfinished(calls_.size(), number_);
      try {
        if (!call) throw_unfinished(calls_.size(), number_);
        results_ = std::move(*call).result();
      } catch (...) {
        cancel();
        ended_ = true;
        throw;
      }
      at_ = 0;
      refill();
    }
    return static_cast<Yield>(std::move(results_[at_++]));
  }

 private:
  using Call = ChunkFuture<F, Item>;

  void refill() {
    try {
      while (!ended_ && calls_.size() < buffer_) {
        auto call = chunks_.submit_next();
        if (!call) {
          ended_ = true;
          break;
        }
        if constexpr (!Ordered) group_.add(call->shared_state(), number_);
        calls_.emplace_back(number_++, *std::move(call));
      }
    } catch (...) {
      // It comes after the results of what was read before.
      ended_ = true;
      error_ = std::current_exception();
    }
  }
  /// The call whose results come next; empty if it isn't done by then.
  std::optional<Call> take_call(Deadline deadline) {
    auto taken = calls_.begin();
    if constexpr (!Ordered) {
      const auto number = group_.next(deadline);
      if (!number) return std::nullopt;
      taken =
          std::ranges::lower_bound(calls_, *number, {}, [](const auto& one) { return one.first; });
    } else if (!taken->second.shared_state()->wait_until(deadline)) {
      return std::nullopt;
    }
    Call call = std::move(taken->second);
    calls_.erase(taken);
    return call;
  }
  void cancel() {
    for (auto& [number, call] : calls_) call.cancel();
    calls_.clear();
  }

  Chunks<View, F> chunks_;
  const Deadline deadline_;
  const std::size_t buffer_;  // of chunks
  std::deque<std::pair<std::size_t, Call>> calls_;
  FutureGroup group_;
  std::size_t number_ = 0;
  std::vector<Yield> results_;
  std::size_t at_ = 0;
  bool ended_ = false;
  std::exception_ptr error_;
};

template <bool Ordered = true, class Range, class F>
auto map_on(const ExecutorHandle& executor, Range&& range, F f, const TimeLimit& timeout,
            std::size_t chunk, std::size_t buffer) {
  check_chunk(chunk);
  using State = MapState<std::views::all_t<Range>, F, Ordered>;
  return Generator<typename State::Yield>(std::make_unique<State>(
      executor, std::views::all(std::forward<Range>(range)), std::move(f), timeout, chunk, buffer));
}

/// All results in order. Waits for all calls before it throws the first error.
template <class F, class Item>
auto collect(std::vector<ChunkFuture<F, Item>>& calls) {
  using R = ItemResult<F, Item>;
  for (const auto& call : calls) call.wait();
  if constexpr (std::is_void_v<R>) {
    for (auto& call : calls) call.result();
  } else {
    std::vector<R> all;
    for (auto& call : calls) {
      auto results = std::move(call).result();
      if (calls.size() == 1) return results;
      all.insert(all.end(), std::move_iterator(results.begin()), std::move_iterator(results.end()));
    }
    return all;
  }
}

}  // namespace hoist::detail
