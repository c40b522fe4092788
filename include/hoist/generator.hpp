// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/requirements.hpp>

#include <hoist/detail/deadline.hpp>

#include <chrono>
#include <cstddef>
#include <iterator>
#include <memory>
#include <optional>
#include <utility>

namespace hoist {

/// An element of Parallel::generator_unordered: a result, and the index of its task in the input.
template <class R>
struct Indexed {
  std::size_t index = 0;
  R value;
};

/// The results of a running loop, as an input range: `for (auto& result : generator)`.
///
/// The loop starts when the generator is made. Its input is read by the thread that makes and
/// advances the generator, at most the pre-dispatched window ahead of the consumer: a slow consumer
/// slows the loop down. The first failure is thrown from the next increment, whichever result that
/// would have been. With OnError::finish failed tasks are skipped and thrown together as LoopErrors
/// at the end.
///
/// The destructor cancels the tasks that have not started and waits for those that can't be killed.
/// A generator is used by the thread that made it. Iterators stay valid when it is moved, and until
/// it is destroyed.
template <class Yield>
class [[nodiscard]] Generator {
 public:
  /// For hoist: the loop behind a generator.
  class State {
   public:
    virtual ~State() = default;
    /// The next result, which it waits for; empty at the end. Throws TimedOut at the deadline,
    /// after which it can be called again.
    virtual std::optional<Yield> next(detail::Deadline deadline) = 0;

   private:
    friend class Generator;
    /// Results are moved in and never assigned, which not all of them can be.
    void advance() {
      std::optional<Yield> fetched = next(detail::Deadline::max());
      current_.reset();
      // g++ 14 otherwise warns that emplace() ended what reset() has ended.
      if (fetched && !current_) current_.emplace(*std::move(fetched));
    }
    std::optional<Yield> current_;
  };
  /// A single-pass iterator; the result it refers to is valid until the next increment.
  class Iterator {
   public:
    using value_type = Yield;
    using difference_type = std::ptrdiff_t;
    using iterator_concept = std::input_iterator_tag;

    /// An input iterator: `++` waits for the next result.
    Iterator() = default;
    explicit Iterator(Generator* owner) : state_(owner->state_.get()) {}
    Yield& operator*() const { return *state_->current_; }
    Yield* operator->() const { return &*state_->current_; }
    /// Waits for the next result. Throws the loop's error.
    Iterator& operator++() {
      state_->advance();
      return *this;
    }
    void operator++(int) { ++*this; }
    bool operator==(std::default_sentinel_t) const { return !state_->current_; }

   private:
    State* state_ = nullptr;
  };

  /// For Parallel, which makes generators.
  explicit Generator(std::unique_ptr<State> state) : state_(std::move(state)) {}

  /// Waits for the first result. To be called once, because this is an input range.
  Iterator begin() {
    state_->advance();
    return Iterator(this);
  }
  /// The end of the results; comparing with it takes no time.
  std::default_sentinel_t end() const noexcept { return {}; }

  /// The next result, in place of iterators: waits for it, and is empty at the end. Throws the
  /// loop's error.
  [[nodiscard]] std::optional<Yield> next() { return state_->next(detail::Deadline::max()); }
  /// Likewise. Throws TimedOut if there is none in time; the loop goes on, and next() can be called
  /// again. A loop on threads may run a task in this thread, which is then waited for.
  template <class Rep, class Period>
  [[nodiscard]] std::optional<Yield> next(std::chrono::duration<Rep, Period> timeout) {
    return state_->next(detail::deadline_after(timeout));
  }

 private:
  std::unique_ptr<State> state_;
};

}  // namespace hoist
