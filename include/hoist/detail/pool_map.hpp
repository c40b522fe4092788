// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/executor_map.hpp>

#include <algorithm>
#include <cstddef>
#include <exception>
#include <functional>
#include <optional>
#include <ranges>
#include <type_traits>
#include <utility>
#include <vector>

// What Pool is made of besides an executor.

namespace hoist::detail {

template <class R>
struct ResultCallbackOf {
  using type = std::function<void(const R&)>;
};
template <>
struct ResultCallbackOf<void> {
  using type = std::function<void()>;
};
template <class R>
using ResultCallback = typename ResultCallbackOf<R>::type;
template <class F, class... Args>
using CallResult = DelayedCalls::ResultOf<Delayed<F, Args...>>;
template <class F, class Range>
using MapItem = ItemResult<F, std::ranges::range_value_t<Range>>;
/// A vector of the results, or void.
template <class F, class Range>
using MapResult = std::conditional_t<std::is_void_v<MapItem<F, Range>>, void,
                                     std::vector<Kept<MapItem<F, Range>>>>;

[[noreturn]] void throw_not_ready();

template <class R>
void call_back(const Future<R>& future, const ResultCallback<R>& callback,
               const std::function<void(const std::exception_ptr&)>& error_callback) {
  if (!callback && !error_callback) return;
  call_when_done(*future.shared_state(), [future, callback, error_callback] {
    if (const std::exception_ptr error = future.shared_state()->error()) {
      if (error_callback) error_callback(error);
    } else if (callback) {
      if constexpr (std::is_void_v<R>) {
        callback();
      } else {
        callback(std::as_const(future.shared_state()->value()));
      }
    }
  });
}

/// The calls of Pool::map.
template <class F, class Item>
struct ChunkCalls {
  using R = ItemResult<F, Item>;
  using All = std::conditional_t<std::is_void_v<R>, void, std::vector<Kept<R>>>;

  /// Waits for all.
  auto collect() { return detail::collect<F, Item>(calls); }
  /// Done when all are.
  Future<All> future() && {
    std::vector<StatePointer<FutureState>> states;
    for (const auto& call : calls) states.push_back(call.shared_state());
    return when_all_done<All>(
        states,
        [calls = std::move(calls)]() mutable {
          return kept_result<All>([&] { return detail::collect<F, Item>(calls); });
        },
        false);
  }

  std::vector<ChunkFuture<F, Item>> calls;
};

/// A quarter of a worker's equal share, so that workers that are slower get fewer.
inline std::size_t default_chunk(std::size_t items, unsigned workers) {
  const std::size_t parts = std::size_t{4} * workers;
  return std::max<std::size_t>(1, (items + parts - 1) / parts);
}

template <class F, class Range>
auto submit_chunks(const ExecutorHandle& executor, F f, Range& range,
                   std::optional<std::size_t> chunk) {
  using Item = std::ranges::range_value_t<Range>;
  if (chunk) check_chunk(*chunk);
  const auto submit = [&](auto&& all, std::size_t size) {
    // Not std::views::all, which copies a view, and there are views that can't be copied.
    Chunks chunks(executor, std::ranges::ref_view(all), std::move(f),
                  chunk.value_or(default_chunk(size, executor.workers())));
    ChunkCalls<F, Item> calls;
    while (auto call = chunks.submit_next()) calls.calls.push_back(*std::move(call));
    return calls;
  };
  if constexpr (std::ranges::sized_range<Range>) {
    return submit(range, static_cast<std::size_t>(std::ranges::size(range)));
  } else {
    std::vector<Item> all;
    for (auto&& item : range) all.push_back(static_cast<Item>(std::forward<decltype(item)>(item)));
    return submit(all, all.size());
  }
}

}  // namespace hoist::detail
