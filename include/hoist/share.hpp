// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/values.hpp>

#include <memory>
#include <utility>
#include <vector>

namespace hoist {

namespace detail {

/// An encoded value whose parts lie in shared memory.
struct SharedParts {
  Encoded encoded;  ///< all segments with owners
};

/// Moves the parts of an encoded value into shared memory, once.
std::shared_ptr<const SharedParts> make_shared_parts(Encoded encoded);

/// The value made of parts that begin in `storage` by an earlier task of this loop, if it is still
/// there; and the way to keep it for the next.
std::shared_ptr<const void> find_shared_value(const std::shared_ptr<Storage>& storage,
                                              const void* tag);
void keep_shared_value(const std::shared_ptr<Storage>& storage, const void* tag,
                       std::shared_ptr<const void> value);
/// In a worker, when a loop it served is over.
void forget_shared_values();

}  // namespace detail

/// A value for the tasks of many loops: written to shared memory once, by `share(x)`; worker
/// processes map it. Copies are handles to the one value; the last of them frees the memory.
///
/// Read-only everywhere. Pass it to tasks like any argument: `delayed(f)(handle)` with
/// `f(const Shared<T>&)`. Large arrays in it (a MiB and more) are not copied at all; the rest is
/// decoded once a loop and worker where it is large, once a task where it is small.
template <class T>
class Shared {
 public:
  Shared() = default;
  const T& operator*() const noexcept { return *value_; }
  const T* operator->() const noexcept { return value_.get(); }
  const T& get() const noexcept { return *value_; }
  explicit operator bool() const noexcept { return value_ != nullptr; }

 private:
  template <Storable U>
  friend Shared<U> share(U value);
  friend struct detail::Form<Shared<T>>;

  std::shared_ptr<const T> value_;
  std::shared_ptr<const detail::SharedParts> parts_;
};

/// Puts a value into shared memory. Throws CannotTravel for what can't be encoded, SystemError where
/// there is no memory.
template <Storable U>
Shared<U> share(U value) {
  Shared<U> shared;
  auto kept = std::make_shared<const U>(std::move(value));
  shared.parts_ = detail::make_shared_parts(detail::encode(*kept));
  shared.value_ = std::move(kept);
  return shared;
}

}  // namespace hoist

// How a Shared is encoded.
#include <hoist/detail/form_shared.hpp>
