// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/archive.hpp>
#include <hoist/detail/traits.hpp>

#include <cstddef>
#include <cstring>
#include <vector>

// For elements that are one block according to their schema but have gaps in memory that the schema
// does not know of (over-aligned members).

namespace hoist::detail {

/// Archive that writes the bytes of what it visits without gaps. `to` must have room for them.
class Packer : public ArchiveBase<Packer> {
 public:
  static constexpr bool decoding = false;
  static constexpr bool hashing = false;
  struct UserCode {
    explicit UserCode(Packer&) {}
  };

  explicit Packer(std::byte* to) : to_(to) {}

  template <class T>
  void scalar(const T& value) {
    block(&value, 1);
  }
  template <class T>
  void block(const T* data, std::size_t n) {
    std::memcpy(to_, data, n * sizeof(T));
    to_ += n * sizeof(T);
  }

 private:
  std::byte* to_;
};

/// The reverse: fills what it visits from bytes without gaps.
class Unpacker : public ArchiveBase<Unpacker> {
 public:
  static constexpr bool decoding = true;
  static constexpr bool hashing = false;
  struct UserCode {
    explicit UserCode(Unpacker&) {}
  };

  explicit Unpacker(const std::byte* from) : from_(from) {}

  template <class T>
  void scalar(T& value) {
    block(&value, 1);
  }
  template <class T>
  void block(T* data, std::size_t n) {
    std::memcpy(static_cast<void*>(data), from_, n * sizeof(T));
    from_ += n * sizeof(T);
  }

 private:
  const std::byte* from_;
};

/// `n` elements of a type that `packs_as_block`, to or from one block.
template <class Ar, class T>
void traverse_packed(Ar& ar, T* elements, std::size_t n) {
  using Element = std::remove_const_t<T>;
  std::vector<std::byte> packed(n * BlockTraits<Element>::natural.size);
  if constexpr (Ar::decoding) {
    ar.block(packed.data(), packed.size());
    Unpacker unpacker(packed.data());
    for (std::size_t i = 0; i < n; ++i) Form<Element>::traverse(unpacker, elements[i]);
  } else {
    Packer packer(packed.data());
    for (std::size_t i = 0; i < n; ++i) Form<Element>::traverse(packer, elements[i]);
    const typename Ar::UserCode temporary(ar);
    ar.block(packed.data(), packed.size());
  }
}

}  // namespace hoist::detail
