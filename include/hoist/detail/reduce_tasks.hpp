// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/loop_results.hpp>
#include <hoist/detail/loop_tasks.hpp>
#include <hoist/detail/reduce_pieces.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <iterator>
#include <memory>
#include <mutex>
#include <optional>
#include <ranges>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

namespace hoist::detail {

/// What is common to reductions. `F` and `Op` may be functions; `Item`: an element of the input.
template <class T, class F, class Op, class Item, PieceForm form>
class Reduction : public LoopTasks {
 public:
  void check_results() const override { check_result_travels<T>(); }
  PortableCode portable(std::size_t) const override {
    using PlainF = std::decay_t<F>;
    using PlainOp = std::decay_t<Op>;
    if constexpr (!travels<PlainF>) {
      throw_argument_cannot_travel(callable_index, typeid(PlainF), nullptr);
    } else if constexpr (!travels<PlainOp>) {
      throw_argument_cannot_travel(callable_index, typeid(PlainOp), nullptr);
    } else if constexpr (!travels<Item>) {
      throw_argument_cannot_travel(0, typeid(Item), nullptr);
    } else if constexpr (!result_travels<T>) {
      throw_result_cannot_travel(typeid(T));
    } else {
      using Called = std::conditional_t<std::is_same_v<F, std::identity>, PlainOp, PlainF>;
      return {run_piece<T, PlainF, PlainOp, Item, form>, open_reduction<PlainF, PlainOp>,
              call_operator_of<Called>()};
    }
  }
  void encode_callable(Encoder& to) const override {
    MappedCalls<const F&>{f_}.encode_callable(to);
    MappedCalls<const Op&>{op_}.encode_callable(to);
  }

 protected:
  Reduction(const F& f, const Op& op) : f_(f), op_(op) {}

  static void encode_head(Encoder& to, std::size_t index, std::size_t count) {
    send<std::uint64_t>(to, index);
    send<std::uint64_t>(to, count);
  }

  const F& f_;
  const Op& op_;
};

template <class Iterator, bool iota>
inline constexpr PieceForm piece_form = [] {
  using Item = std::iter_value_t<Iterator>;
  if constexpr (iota && std::integral<Item>) return PieceForm::numbers;
  if constexpr (std::contiguous_iterator<Iterator> && travels<std::span<const Item>>) {
    if constexpr (SpanOf<std::span<const Item>>::as_array) return PieceForm::elements;
  }
  return PieceForm::items;
}();

/// A reduction of a range that workers read in place.
template <class T, class F, class Op, class Iterator, bool iota>
class ReducedRange final
    : public Reduction<T, F, Op, std::iter_value_t<Iterator>, piece_form<Iterator, iota>> {
  using Item = std::iter_value_t<Iterator>;
  using Step = std::iter_difference_t<Iterator>;
  static constexpr PieceForm form = piece_form<Iterator, iota>;

 public:
  ReducedRange(const F& f, const Op& op, Iterator begin, std::size_t count)
      : Reduction<T, F, Op, Item, form>(f, op),
        begin_(std::move(begin)),
        count_(count),
        length_(count / most_pieces + (count % most_pieces != 0 ? 1 : 0)),
        values_(length_ == 0 ? 0 : count / length_ + (count % length_ != 0 ? 1 : 0)) {}

  std::size_t pieces() const { return values_.size(); }
  T& value(std::size_t piece) { return *values_[piece]; }

  std::size_t run(TaskRange tasks, TaskRun& run) override {
    return run_tasks(tasks, run, [&](std::size_t i) {
      Iterator at = begin_ + static_cast<Step>(i * length_);
      values_[i].emplace(reduce_piece<T>(
          this->f_, this->op_, run.info, i * length_, length_of(i), [&](auto&& use) {
            if constexpr (std::is_lvalue_reference_v<std::iter_reference_t<Iterator>>) {
              const Item& item = *at;
              ++at;
              return use(item);
            } else {
              return use(Item(*at++));
            }
          }));
    });
  }
  bool read() override { return false; }
  void encode_result(std::size_t i, Encoder& to) override { encode_kept<T>(to, value(i)); }
  void decode_result(std::size_t i, Decoder& from) override {
    values_[i].emplace(decode_kept<T>(from));
  }
  void discard_result(std::size_t i) override { values_[i].reset(); }
  void encode_task(std::size_t i, Encoder& to) const override {
    const std::size_t count = length_of(i);
    this->encode_head(to, i * length_, count);
    const Iterator begin = begin_ + static_cast<Step>(i * length_);
    if constexpr (form == PieceForm::numbers) {
      send<Item>(to, *begin);
    } else if constexpr (form == PieceForm::elements) {
      const std::span<const Item> items(std::to_address(begin), count);
      send_named(items, 0, [&] { send<std::span<const Item>>(to, items); });
    } else {
      for (std::size_t k = 0; k < count; ++k) {
        send_arguments<Item>(to, static_cast<const Item&>(begin[static_cast<Step>(k)]));
      }
    }
  }

 private:
  std::size_t length_of(std::size_t i) const { return std::min(length_, count_ - i * length_); }

  const Iterator begin_;
  const std::size_t count_;
  const std::size_t length_;  // of all pieces but the last
  std::vector<std::optional<T>> values_;
};

/// A reduction of a range that the owner of the loop reads, a piece at a time.
template <class T, class F, class Op, class Range>
class ReducedInput final
    : public Reduction<T, F, Op, std::ranges::range_value_t<Range>, PieceForm::items> {
  using Reference = std::ranges::range_reference_t<Range>;
  using Item = std::ranges::range_value_t<Range>;
  static constexpr bool in_place =
      std::is_lvalue_reference_v<Reference> && std::ranges::forward_range<Range>;
  using Held = std::conditional_t<in_place, const Item*, Item>;
  struct Piece {
    std::size_t index = 0;  // of its first item in the input
    std::vector<Held> items;
    std::optional<T> value;
  };

 public:
  ReducedInput(const F& f, const Op& op, Range& range)
      : Reduction<T, F, Op, Item, PieceForm::items>(f, op), range_(range) {}

  std::size_t run(TaskRange tasks, TaskRun& run) override {
    return run_tasks(tasks, run, [&](std::size_t i) {
      Piece& p = piece(i);
      auto at = p.items.begin();
      p.value.emplace(reduce_piece<T>(this->f_, this->op_, run.info, p.index, p.items.size(),
                                      [&](auto&& use) { return use(*address(*at++)); }));
    });
  }
  bool read() override {
    Piece next{.index = read_, .items = {}, .value = {}};
    const std::size_t length = read_piece_length(read_pieces_);
    while (next.items.size() < length && read_item(next.items)) {
    }
    if (next.items.empty()) return false;
    read_ += next.items.size();
    ++read_pieces_;
    const std::lock_guard lock(mutex_);
    pieces_.push_back(std::move(next));
    return true;
  }
  void encode_result(std::size_t i, Encoder& to) override { encode_kept<T>(to, *piece(i).value); }
  void decode_result(std::size_t i, Decoder& from) override {
    piece(i).value.emplace(decode_kept<T>(from));
  }
  // Pieces are taken in order: one that has failed goes with those before it.
  void discard_result(std::size_t i) override { piece(i) = {}; }
  void encode_task(std::size_t i, Encoder& to) const override {
    const Piece& p = piece(i);
    this->encode_head(to, p.index, p.items.size());
    for (const Held& held : p.items) send_arguments<Item>(to, *address(held));
  }
  T take(std::size_t i) {
    const std::lock_guard lock(mutex_);
    T value = std::move(*pieces_[i - first_].value);
    for (; first_ <= i; ++first_) pieces_.pop_front();
    return value;
  }

 private:
  static const Item* address(const Held& held) {
    if constexpr (in_place) {
      return held;
    } else {
      return std::addressof(held);
    }
  }
  bool read_item(std::vector<Held>& items) {
    if (!at_) {
      at_.emplace(std::ranges::begin(range_));
    } else if (*at_ != std::ranges::end(range_)) {
      ++*at_;
    }
    if (*at_ == std::ranges::end(range_)) return false;
    if constexpr (in_place) {
      items.push_back(std::addressof(**at_));
    } else {
      items.emplace_back(**at_);
    }
    return true;
  }
  Piece& piece(std::size_t i) const {
    const std::lock_guard lock(mutex_);
    return pieces_[i - first_];
  }

  Range& range_;
  std::optional<std::ranges::iterator_t<Range>> at_;
  std::size_t read_ = 0;  // items
  std::size_t read_pieces_ = 0;
  mutable std::mutex mutex_;
  mutable std::deque<Piece> pieces_;
  std::size_t first_ = 0;  // number of the piece in pieces_.front()
};

}  // namespace hoist::detail
