// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/task.hpp>

#include <cstddef>
#include <optional>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

// How the results of a loop's tasks are kept, and come back from another process.

namespace hoist::detail {

/// How a result is kept. A void task keeps a monostate, which says that it is done.
template <class R>
using Kept = std::conditional_t<std::is_void_v<R>, std::monostate, R>;

template <class R, class Call>
Kept<R> kept_result(Call&& call) {
  if constexpr (std::is_void_v<R>) {
    std::forward<Call>(call)();
    return {};
  } else {
    return std::forward<Call>(call)();
  }
}

template <class R>
void check_result_travels() {
  if constexpr (!result_travels<R>) throw_result_cannot_travel(typeid(R));
}

template <class R>
void encode_kept([[maybe_unused]] Encoder& to, [[maybe_unused]] const Kept<R>& value) {
  if constexpr (std::is_void_v<R>) {
    return;
  } else if constexpr (result_travels<R>) {
    send_result<R>(to, value);
  } else {
    throw_result_cannot_travel(typeid(R));
  }
}

template <class R>
Kept<R> decode_kept(Decoder& from) {
  return kept_result<R>([&] { return receive_result<R>(from); });
}

/// BadArgument: a loop has more results than there is memory for, or, where its length is known,
/// not as many.
[[noreturn]] void throw_no_room(std::size_t room);
[[noreturn]] void throw_wrong_room(std::size_t room, std::size_t results);

/// Results of a loop whose length is known. Many threads write them, each its own. Plain values are
/// written directly to the vector that is returned.
template <class R>
class Results {
  static constexpr bool plain = std::is_trivially_copyable_v<Kept<R>> &&
                                std::is_default_constructible_v<Kept<R>> &&
                                std::is_move_assignable_v<Kept<R>> && !std::is_same_v<R, bool>;
  using Slot = std::conditional_t<plain, Kept<R>, std::optional<Kept<R>>>;

 public:
  explicit Results(std::size_t count) {
    if constexpr (!std::is_void_v<R>) slots_.resize(count);
  }

  template <class Call>
  void set(std::size_t i, Call&& call) {
    if constexpr (std::is_void_v<R>) {
      std::forward<Call>(call)();
    } else if constexpr (plain) {
      slots_[i] = std::forward<Call>(call)();
    } else {
      slots_[i].emplace(std::forward<Call>(call)());
    }
  }
  void encode([[maybe_unused]] std::size_t i, [[maybe_unused]] Encoder& to) {
    if constexpr (!std::is_void_v<R>) encode_kept<R>(to, at(i));
  }
  void discard([[maybe_unused]] std::size_t i) {
    if constexpr (!plain) slots_[i].reset();
  }
  Kept<R> take([[maybe_unused]] std::size_t i) {
    if constexpr (std::is_void_v<R>) {
      return {};
    } else {
      return std::move(at(i));
    }
  }
  std::vector<Kept<R>> take_all() {
    if constexpr (plain) {
      return std::move(slots_);
    } else {
      std::vector<Kept<R>> all;
      all.reserve(slots_.size());
      for (auto& slot : slots_) all.push_back(std::move(*slot));
      return all;
    }
  }

 private:
  Kept<R>& at(std::size_t i) {
    if constexpr (plain) {
      return slots_[i];
    } else {
      return *slots_[i];
    }
  }
  std::vector<Slot> slots_;
};

/// In the place of PlacedResults: there are none, and nothing is kept of a task that is done.
struct NoResults {
  template <class Call>
  void set(std::size_t, Call&& call) {
    std::forward<Call>(call)();
  }
  void encode(std::size_t, Encoder&) const {}
  void check_room(std::size_t) const {}
};

/// Results that are written to memory of the caller's. `Out` is a random access iterator to it.
template <class R, class Out>
class PlacedResults {
 public:
  PlacedResults(Out out, std::size_t room) : out_(std::move(out)), room_(room) {}

  template <class Call>
  void set(std::size_t i, Call&& call) {
    at(i) = std::forward<Call>(call)();
  }
  void encode(std::size_t i, Encoder& to) const { encode_kept<R>(to, at(i)); }
  void discard(std::size_t) {}
  /// Throws BadArgument if there is no place for result `i`.
  void check_room(std::size_t i) const {
    if (i >= room_) throw_no_room(room_);
  }

 private:
  R& at(std::size_t i) const { return out_[static_cast<std::iter_difference_t<Out>>(i)]; }

  Out out_;
  std::size_t room_;
};

}  // namespace hoist::detail
