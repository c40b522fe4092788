// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/bytes.hpp>

#include <algorithm>
#include <cstring>

namespace support {

/// Bytes in memory as a source.
class MemorySource final : public hoist::ByteSource {
 public:
  MemorySource(const void* data, std::size_t n)
      : at_(static_cast<const std::byte*>(data)), left_(n) {}
  std::size_t read(std::byte* to, std::size_t n) override {
    n = std::min(n, left_);
    if (n > 0) std::memcpy(to, at_, n);
    at_ += n;
    left_ -= n;
    return n;
  }
  std::optional<std::uint64_t> left() const override { return left_; }

 private:
  const std::byte* at_;
  std::size_t left_;
};

/// The limit of memory for a load in a fuzzer: enough for every seed, little enough to run often.
inline constexpr std::uint64_t fuzz_bytes = std::uint64_t{1} << 24;

}  // namespace support
