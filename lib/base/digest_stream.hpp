// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/digest.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory_resource>
#include <span>
#include <string_view>
#include <vector>

namespace hoist::detail::base {

/// XXH3-128 of some bytes.
Digest digest_of(std::span<const std::byte> bytes);

/// Collects the bytes that a digest is computed of. Numbers are little-endian and of fixed width,
/// texts are preceded by their length, so that different sequences of puts give different bytes.
class DigestStream {
 public:
  DigestStream() = default;
  /// With its bytes in this memory.
  explicit DigestStream(std::pmr::memory_resource* memory) : bytes_(memory) {}

  void reserve(std::size_t size) { bytes_.reserve(size); }
  void clear() { bytes_.clear(); }
  std::size_t size() const { return bytes_.size(); }
  bool empty() const { return bytes_.empty(); }
  Digest digest() const { return digest_of(bytes_); }

  void put(std::span<const std::byte> bytes);
  void put8(std::uint8_t value) { bytes_.push_back(std::byte{value}); }
  void put32(std::uint32_t value) { put(std::as_bytes(std::span(&value, 1))); }
  void put64(std::uint64_t value) { put(std::as_bytes(std::span(&value, 1))); }
  void put(const Digest& value) {
    put64(value.low);
    put64(value.high);
  }
  void put(std::string_view text) {
    put64(text.size());
    put(std::as_bytes(std::span(text.data(), text.size())));
  }
  /// Replaces four bytes put earlier.
  void patch32(std::size_t position, std::uint32_t value) {
    std::memcpy(bytes_.data() + position, &value, sizeof value);
  }
  /// Zeroes bytes put earlier.
  void blank(std::size_t position, std::size_t count) {
    std::memset(bytes_.data() + position, 0, count);
  }

 private:
  std::pmr::vector<std::byte> bytes_;
};

}  // namespace hoist::detail::base
