// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/archive.hpp>
#include <hoist/digest.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

namespace hoist::detail {

/// Archive that hashes: XXH3-128 of the canonical form of what it visits. Of blocks of at least
/// `segment_threshold` bytes it hashes the digests of their pieces of 1 MiB.
class Hasher : public ArchiveBase<Hasher> {
 public:
  static constexpr bool decoding = false;
  static constexpr bool hashing = true;

  Hasher();
  Hasher(const Hasher&) = delete;
  Hasher& operator=(const Hasher&) = delete;
  ~Hasher();

  /// `T` has no padding: floats count by their bits.
  template <class T>
  void scalar(const T& value) {
    bytes(&value, sizeof value);
  }

  void length(std::size_t n) { scalar(static_cast<std::uint64_t>(n)); }

  template <class T>
  void block(const T* data, std::size_t n) {
    bytes_of_block(data, n * sizeof(T));
  }

  /// Hashes the elements' digests, independent of their order; `visit(hasher, element)` hashes one.
  template <class Range, class Visit>
  void unordered(const Range& range, Visit visit) {
    std::vector<Digest> digests;
    digests.reserve(range.size());
    for (const auto& element : range) {
      Hasher one;
      one.nest_in(*this);
      one.open_ = open_;  // a cycle may lead through the element
      visit(one, element);
      digests.push_back(one.digest());
    }
    unordered(digests);
  }

  /// False if the object behind a pointer is already being hashed (a cycle); otherwise `leave` must
  /// follow.
  bool enter(const void* object);
  void leave();

  /// A hasher needs no care inside a user's serialize(); see Encoder::UserCode.
  struct UserCode {
    explicit UserCode(Hasher&) {}
  };

  Digest digest();

  /// The number of bytes that were hashed; elements of unordered ranges count as their digests.
  std::uint64_t volume() const noexcept { return spilled_ + used_; }

  /// Everything that was hashed, in its canonical form, if it has at most 512 bytes; otherwise
  /// empty.
  std::span<const std::byte> gathered() const {
    return stream_ ? std::span<const std::byte>() : std::span(buffer_).first(used_);
  }

 private:
  struct Stream;

  void bytes(const void* data, std::size_t n) {
    if (n > buffer_.size() - used_) {
      spill(data, n);
      return;
    }
    std::copy_n(static_cast<const std::byte*>(data), n, buffer_.data() + used_);
    used_ += n;
  }
  void spill(const void* data, std::size_t n);
  void bytes_of_block(const void* data, std::size_t n);
  void unordered(std::vector<Digest>& digests);
  void add(const std::vector<Digest>& digests);

  std::array<std::byte, 512> buffer_;
  std::size_t used_ = 0;
  std::uint64_t spilled_ = 0;
  std::unique_ptr<Stream> stream_;
  std::vector<const void*> open_;
};

/// The digest of bytes that are not a value: files, code, text.
Digest hash_bytes(const void* data, std::size_t n);

}  // namespace hoist::detail
