// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/loop_calls.hpp>
#include <hoist/detail/task.hpp>
#include <hoist/this_task.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <type_traits>
#include <utility>

// A reduction's tasks are pieces of its input. Where pieces begin depends on nothing but positions
// in the input, so the operation is applied to the same values in the same grouping each time.

namespace hoist::detail {

/// So many pieces share the work evenly among tens of workers, yet few enough that the values of
/// all, which may be large, are kept until the end.
inline constexpr std::size_t most_pieces = 512;
/// Of input whose length is unknown: pieces are of one element at first, which may take long, and
/// twice as long after each 64, up to a number that makes up for the cost of a task of no length.
inline constexpr std::size_t pieces_of_a_length = 64;
inline constexpr std::size_t longest_read_piece = 4096;

constexpr std::size_t read_piece_length(std::size_t piece) {
  const std::size_t doubled = piece / pieces_of_a_length;
  return doubled < 12 ? std::size_t{1} << doubled : longest_read_piece;
}

/// The value of a piece of `count` items, the first of which has that index in the loop.
/// `next(use)` returns use(item) for its next item.
template <class T, class F, class Op, class Next>
T reduce_piece(const F& f, const Op& op, TaskInfo& info, std::size_t index, std::size_t count,
               Next&& next) {
  const auto mapped = [&](auto&& item) -> decltype(auto) {
    // Without a function nobody asks, and integers are added without a store for each.
    if constexpr (!std::is_same_v<F, std::identity>) info.index = index++;
    return std::invoke(f, std::forward<decltype(item)>(item));
  };
  T value = next([&](auto&& item) -> T {
    using Item = decltype(item);
    if constexpr (std::is_convertible_v<std::invoke_result_t<const F&, Item>, T>) {
      return static_cast<T>(mapped(std::forward<Item>(item)));
    } else {
      return static_cast<T>(std::invoke(op, T{}, mapped(std::forward<Item>(item))));
    }
  });
  for (std::size_t left = count - 1; left > 0; --left) {
    next([&](auto&& item) {
      value = static_cast<T>(
          std::invoke(op, std::move(value), mapped(std::forward<decltype(item)>(item))));
    });
  }
  return value;
}

/// How a piece's items reach another process.
enum class PieceForm : unsigned char {
  numbers,   ///< consecutive ones: by the first
  elements,  ///< by the array that they are in
  items,     ///< one by one, as arguments
};

template <class F, class Op>
struct ReceivedReduction {
  explicit ReceivedReduction(Decoder& from) : f(from), op(from) {}
  Received<F> f;
  Received<Op> op;
};
template <class F, class Op>
std::shared_ptr<void> open_reduction(Decoder& from) {
  return std::make_shared<ReceivedReduction<F, Op>>(from);
}

template <class T, class F, class Op, class Item, PieceForm form>
void run_piece(void* reduction, Decoder& from, Reply& reply) {
  auto& received = *static_cast<ReceivedReduction<F, Op>*>(reduction);
  const F& f = received.f.get();
  const Op& op = received.op.get();
  const auto index = static_cast<std::size_t>(Received<std::uint64_t>(from).get());
  const auto count = static_cast<std::size_t>(Received<std::uint64_t>(from).get());
  if (count == 0) Decoder::throw_damaged();
  TaskInfo unasked;
  TaskInfo& info = task_here() != nullptr ? *task_here() : unasked;
  const auto reduce = [&](auto&& next) { return reduce_piece<T>(f, op, info, index, count, next); };
  const auto answer = [&](const T& value) {
    send_result<T>(reply.encoder(), value);
    reply.finish();
  };
  if constexpr (form == PieceForm::numbers) {
    Item number = Received<Item>(from).get();
    from.finish();
    answer(reduce([&](auto&& use) { return use(Item(number++)); }));
  } else if constexpr (form == PieceForm::elements) {
    Received<std::span<const Item>> items(from);
    from.finish();
    const std::span<const Item> elements = items.get();
    if (elements.size() != count) Decoder::throw_damaged();
    const Item* at = elements.data();
    answer(reduce([&](auto&& use) { return use(*at++); }));
  } else {
    const T value = reduce([&](auto&& use) {
      ReceivedArgument<Item> item(from);
      const Item& given = item.get();
      return use(given);
    });
    from.finish();
    answer(value);
  }
}

}  // namespace hoist::detail
