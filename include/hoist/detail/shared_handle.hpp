// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/forms.hpp>
#include <hoist/detail/storage.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <type_traits>
#include <utility>

namespace hoist::detail {

/// Nothing in braces is one, so that no list of values can be taken for a block.
struct BlockTag {
  explicit BlockTag() = default;
};

/// Memory that processes share, zero-filled and aligned to a page. Copies are the same memory, here
/// and in every process that gets one; it is freed with the last of them, killed processes
/// included.
class SharedBlock {
 public:
  SharedBlock(BlockTag, std::shared_ptr<Storage> storage) : storage_(std::move(storage)) {}
  /// `name` is what /proc shows. Throws SystemError where there is no memory.
  static SharedBlock make(const char* name, std::size_t bytes) {
    return {BlockTag(), allocate_for_processes(name, bytes)};
  }

  std::byte* data() const noexcept { return storage_->data(); }
  std::size_t bytes() const noexcept { return storage_->bytes(); }
  const std::shared_ptr<Storage>& storage() const noexcept { return storage_; }
  /// What lies at the start.
  template <class T>
  T& as() const noexcept {
    return *reinterpret_cast<T*>(data());
  }

  /// Writes it for another process; refuses where the archive is of another kind.
  template <class Ar>
  static void send(Ar& ar, const SharedBlock& block) {
    if constexpr (Ar::hashing) {
      throw_not_a_value();
    } else {
      if (!ar.is_for_process()) throw_not_a_value();
      ar.scalar(std::uint64_t{block.bytes()});
      ar.array_block(block.data(), block.bytes(), block.storage());
    }
  }
  static SharedBlock receive(Decoder& decoder) {
    std::uint64_t bytes = 0;
    decoder.scalar(bytes);
    return received(decoder.array_block(static_cast<std::size_t>(bytes), true));
  }

 private:
  /// Throws CannotTravel: memory has no digest and can't be in a file.
  [[noreturn]] static void throw_not_a_value();
  /// Throws CannotTravel if that is a copy of shared memory and not the memory itself.
  static SharedBlock received(std::shared_ptr<Storage> storage);

  std::shared_ptr<Storage> storage_;
};

/// Base of the classes whose objects are handles to shared memory. Each can be made of a block that
/// another one has.
class SharedHandle {
 public:
  const SharedBlock& block() const noexcept { return block_; }

 protected:
  explicit SharedHandle(SharedBlock block) noexcept : block_(std::move(block)) {}

 private:
  SharedBlock block_;
};

/// How a handle is sent and made of what was; specialised for those that are more than a block.
template <std::derived_from<SharedHandle> T>
struct HandleParts {
  template <class Ar>
  static void send(Ar& ar, const T& handle) {
    SharedBlock::send(ar, handle.block());
  }
  static T receive(Decoder& decoder) { return T(SharedBlock::receive(decoder)); }
};

template <std::derived_from<SharedHandle> T>
struct Form<T> {
  template <class...>
  static constexpr bool supported() {
    return true;
  }
  static void schema(SchemaWriter& writer) { writer.text("memory"); }

  template <class Ar, class V>
  static void traverse(Ar& ar, V& value) {
    if constexpr (Ar::decoding) {
      value = HandleParts<T>::receive(ar);
    } else {
      HandleParts<T>::send(ar, value);
    }
  }
};

}  // namespace hoist::detail
