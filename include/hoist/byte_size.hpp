// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>

namespace hoist {

/// A number of bytes, given as an integer or as text: "1000", "64K", "1.5G" (K, M, G, T stand for
/// powers of 1024, fractions are allowed). Throws BadArgument for anything else.
class ByteSize {
 public:
  constexpr ByteSize() = default;
  constexpr ByteSize(std::integral auto bytes) : bytes_(static_cast<std::uint64_t>(bytes)) {}
  ByteSize(std::string_view text);
  ByteSize(const char* text) : ByteSize(std::string_view(text)) {}
  ByteSize(const std::string& text) : ByteSize(std::string_view(text)) {}

  constexpr std::uint64_t bytes() const noexcept { return bytes_; }
  friend constexpr bool operator==(ByteSize, ByteSize) = default;

 private:
  std::uint64_t bytes_ = 0;
};

}  // namespace hoist
