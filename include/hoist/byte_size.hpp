// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/requirements.hpp>

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>

namespace hoist {

/// A number of bytes, given as an integer or as text: "1000", "64K", "1.5 GiB".
///
/// K, M, G and T, or KiB to TiB, stand for powers of 1024 ("MB", which others take for either, is
/// refused); fractions are allowed and rounded down to whole bytes. Every option that takes a size
/// has this type. A plain value; thread-safe.
class ByteSize {
 public:
  constexpr ByteSize() = default;
  constexpr ByteSize(std::integral auto bytes) : bytes_(static_cast<std::uint64_t>(bytes)) {}
  /// Parses text. Throws BadArgument if it is no number of bytes, is negative, or is 2^63 or more.
  ByteSize(std::string_view text);
  ByteSize(const char* text) : ByteSize(std::string_view(text)) {}
  ByteSize(const std::string& text) : ByteSize(std::string_view(text)) {}

  /// The size in bytes.
  constexpr std::uint64_t bytes() const noexcept { return bytes_; }
  /// True if the numbers of bytes are equal, however they were given.
  friend constexpr bool operator==(ByteSize, ByteSize) = default;

 private:
  std::uint64_t bytes_ = 0;
};

}  // namespace hoist
