// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <iterator>
#include <memory>
#include <optional>
#include <utility>

namespace hoist {

/// What Parallel::generator_unordered yields.
template <class R>
struct Indexed {
  std::size_t index = 0;
  R value;
};

/// The results of a loop that is going on, as an input range: `for (auto& result : generator)`.
///
/// The loop starts with the call that makes the generator. Its input is read by the thread that
/// makes and advances the generator, and no further ahead of it than the pre-dispatched window: a
/// slow consumer slows the loop down. The first failure is thrown from the next step, whichever
/// result that would have been (OnError::finish: failed tasks are left out, and thrown together as
/// LoopErrors at the end). Destroying it cancels what has not started and waits for what can't be
/// killed. To be used by one thread, the one that made it.
template <class Yield>
class Generator {
 public:
  class State {
   public:
    virtual ~State() = default;
    /// Empty at the end.
    virtual std::optional<Yield> next() = 0;
  };
  class Iterator {
   public:
    using value_type = Yield;
    using difference_type = std::ptrdiff_t;
    using iterator_concept = std::input_iterator_tag;

    Iterator() = default;
    explicit Iterator(Generator* owner) : owner_(owner) {}
    Yield& operator*() const { return *owner_->current_; }
    Yield* operator->() const { return &*owner_->current_; }
    Iterator& operator++() {
      owner_->current_ = owner_->state_->next();
      return *this;
    }
    void operator++(int) { ++*this; }
    bool operator==(std::default_sentinel_t) const { return !owner_->current_; }

   private:
    Generator* owner_ = nullptr;
  };

  explicit Generator(std::unique_ptr<State> state) : state_(std::move(state)) {}

  /// Waits for the first result. Once only, as it is an input range.
  Iterator begin() {
    current_ = state_->next();
    return Iterator(this);
  }
  std::default_sentinel_t end() const noexcept { return {}; }

 private:
  std::unique_ptr<State> state_;
  std::optional<Yield> current_;
};

}  // namespace hoist
