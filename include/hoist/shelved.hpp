// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/requirements.hpp>

#include <hoist/detail/call_frame.hpp>
#include <hoist/detail/memo.hpp>
#include <hoist/values.hpp>

#include <memory>
#include <type_traits>
#include <utility>

namespace hoist {

/// A handle on a stored result: `CachedFunction::call_and_shelve` returns one.
///
/// It is small, whatever the size of the result, and itself a value that can be hashed, dumped and
/// sent to other processes, which then read the result from the store. It doesn't keep the entry
/// from being evicted or cleared. Handles made without a location carry the encoded result. All
/// members may be called from many threads at once, except `clear`.
template <class R>
class Shelved {
 public:
  /// A handle on nothing, for decoding into: `get` throws NotFound.
  Shelved() = default;

  /// Reads the result, at each call anew; arrays are mapped if the function's `mmap_mode` says so.
  /// Throws NotFound if the entry is gone, DamagedData if it is damaged, WrongType if it holds
  /// another type, SystemError if it can't be read.
  R get() const {
    detail::ResultFrame<detail::Shelvable<R>> frame;
    detail::read_shelved(memory_, address_, &frame.reading, &frame);
    if constexpr (!std::is_void_v<R>) return std::move(*frame.result);
  }

  /// Reads what was stored with the result, not the result itself. Throws as `get`.
  EntryMetadata metadata() const {
    return detail::read_shelved(memory_, address_, nullptr, nullptr);
  }

  /// Removes the result from the store, or the one that is carried. Nothing happens if it is gone.
  void clear() { detail::clear_shelved(memory_, address_); }

 private:
  template <class F, class Signature>
  friend class CachedFunction;
  friend struct Access;

  Shelved(std::shared_ptr<detail::memory::MemoryCore> memory, detail::EntryAddress address)
      : memory_(std::move(memory)), address_(std::move(address)) {}

  template <class Ar>
  void serialize(Ar& ar) {
    detail::serialize_core(ar, memory_);
    ar(address_);
  }

  std::shared_ptr<detail::memory::MemoryCore> memory_;
  detail::EntryAddress address_;
};

}  // namespace hoist
