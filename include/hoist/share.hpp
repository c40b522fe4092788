// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/requirements.hpp>

#include <hoist/detail/shared_parts.hpp>
#include <hoist/values.hpp>

#include <memory>
#include <utility>

namespace hoist {

namespace detail {

/// Copies an encoded value into shared memory, except for arrays that are there already.
std::shared_ptr<const SharedParts> make_shared_parts(const Encoded& encoded);

}  // namespace detail

/// A read-only value for the tasks of many loops. `share(x)` writes it to shared memory once, and
/// worker processes map it.
///
/// Pass it to tasks like any argument: `delayed(f)(handle)` with `f(const Shared<T>&)`. Copies are
/// handles to the same value; the last one frees the memory. Handles may be copied and read from
/// many threads. Cost: workers map large arrays in the value (a MiB and more) without a copy, and
/// decode the rest once each.
template <class T>
class [[nodiscard]] Shared {
 public:
  /// A handle without a value; dereferencing it is undefined.
  Shared() = default;
  /// The value, valid as long as a handle to it.
  const T& operator*() const noexcept { return *value_; }
  const T* operator->() const noexcept { return value_.get(); }
  const T& get() const noexcept { return *value_; }
  /// False for a handle without a value.
  explicit operator bool() const noexcept { return value_ != nullptr; }

 private:
  template <Storable U>
  friend Shared<U> share(U value);
  friend struct detail::Form<Shared<T>>;

  std::shared_ptr<const T> value_;
  std::shared_ptr<const detail::SharedParts> parts_;
};

/// Puts a value into shared memory, and keeps it here, too. Throws CannotTravel if the value can't
/// be encoded, BadArgument for an object of an unregistered derived class, LimitExceeded for one
/// nested more than 1000 deep, std::bad_alloc. Cost: one encoding and one copy of the value's bytes
/// (none of arrays that are in shared memory or mapped from a file); where shared memory is short,
/// one more for each worker.
template <Storable U>
[[nodiscard]] Shared<U> share(U value) {
  Shared<U> shared;
  auto kept = std::make_shared<const U>(std::move(value));
  shared.parts_ = detail::make_shared_parts(detail::encode(*kept));
  shared.value_ = std::move(kept);
  return shared;
}

}  // namespace hoist

// How a Shared is encoded.
#include <hoist/detail/form_shared.hpp>
