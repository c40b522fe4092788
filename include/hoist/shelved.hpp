// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/memo.hpp>
#include <hoist/values.hpp>

#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>

namespace hoist {

namespace detail {

/// A function's result as something that can be stored.
template <class R>
using Shelvable = std::conditional_t<std::is_void_v<R>, std::monostate, R>;

/// The place a call's result is computed or decoded to.
template <class Value>
struct ResultFrame {
  static void encode(const void* raw, Encoder& encoder) {
    Form<Value>::traverse(encoder, *static_cast<const ResultFrame*>(raw)->result);
  }
  static void decode(void* raw, Decoder& decoder) {
    auto& frame = *static_cast<ResultFrame*>(raw);
    Form<Value>::traverse(decoder, frame.result.emplace());
  }
  static constexpr CallOps reading{&schema_of<EntryRecord<Value>>, nullptr, &encode, &decode,
                                   nullptr};

  std::optional<Value> result;
};

}  // namespace detail

/// A handle on a stored result. Small, whatever the size of the result; itself a value that can be
/// hashed, dumped and sent to other processes, which then read the result from the store. All
/// members may be called from many threads at once, except `clear`.
template <class R>
class Shelved {
 public:
  /// A handle on nothing, for decoding into.
  Shelved() = default;

  /// The result. Throws NotFound if the entry is gone, DamagedData if it is damaged.
  R get() const {
    detail::ResultFrame<detail::Shelvable<R>> frame;
    detail::read_shelved(memory_, address_, &frame.reading, &frame);
    if constexpr (!std::is_void_v<R>) return std::move(*frame.result);
  }

  /// What was stored with the result; it is not read. Throws as `get`.
  EntryMetadata metadata() const {
    return detail::read_shelved(memory_, address_, nullptr, nullptr);
  }

  /// Removes the result from the store. Clearing twice is harmless.
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
