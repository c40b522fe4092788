// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/requirements.hpp>

#include <hoist/values.hpp>

#include <memory>
#include <utility>
#include <vector>

namespace hoist {

namespace detail {

/// An encoded value in shared memory. `packed` begins with the meta stream, small segments follow;
/// other processes map it however small it is, so that they recognise a value that they have.
struct SharedParts {
  std::shared_ptr<Storage> packed;
  std::size_t meta_bytes = 0;
  std::vector<Segment> segments;     ///< in the order of decoding; all have owners
  std::vector<std::size_t> offsets;  ///< where a segment begins in `packed`; 0: it isn't there
};

/// Copies an encoded value into shared memory, except for arrays that are there already.
std::shared_ptr<const SharedParts> make_shared_parts(const Encoded& encoded);
/// The part of `packed` that holds a segment. Throws DamagedData if it isn't inside.
Segment packed_segment(const SharedParts& parts, std::size_t offset, std::size_t bytes);

/// In a worker: the value that an earlier task decoded from parts that begin in `storage`, or null.
std::shared_ptr<const void> find_shared_value(const std::shared_ptr<Storage>& storage,
                                              const void* tag);
/// Keeps a decoded value for the following tasks, as long as the worker has `storage`.
void keep_shared_value(const std::shared_ptr<Storage>& storage, const void* tag,
                       std::shared_ptr<const void> value);
/// In a worker that no longer has the storage.
void forget_shared_value(const std::shared_ptr<Storage>& storage);

}  // namespace detail

/// A read-only value for the tasks of many loops. `share(x)` writes it to shared memory once, and
/// worker processes map it.
///
/// Pass it to tasks like any argument: `delayed(f)(handle)` with `f(const Shared<T>&)`. Copies are
/// handles to the same value; the last one frees the memory. Handles may be copied and read from
/// many threads. Cost: large arrays in the value (a MiB and more) are not copied at all; the rest
/// is decoded once per worker.
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

/// Puts a value into shared memory. Throws CannotTravel if the value can't be encoded, SystemError
/// if there is not enough memory. Cost: one encoding and one copy of the value's bytes.
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
