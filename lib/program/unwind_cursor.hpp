// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

#include "program/elf_image.hpp"

namespace hoist::detail::program {

// Pointer encodings (DW_EH_PE_*): the low four bits are the format, three more the base.
inline constexpr std::uint8_t encoding_absent = 0xff;
inline constexpr std::uint8_t encoding_indirect = 0x80;
inline constexpr std::uint8_t encoding_relative_to_here = 0x10;
inline constexpr std::uint8_t encoding_relative_to_index = 0x30;

/// Reads the little-endian formats of the exception tables. Past the end, or in a hole of the file,
/// everything is zero and ok() false.
class UnwindCursor {
 public:
  UnwindCursor(const ElfImage& image, std::uint64_t at) : image_(image), at_(at) {}

  std::uint64_t at() const { return at_; }
  bool ok() const { return ok_; }

  template <class T>
  T fixed() {
    T value{};
    if (rest_.size() < sizeof value) rest_ = image_.bytes_from(at_, read_ahead);
    if (rest_.size() < sizeof value) {
      ok_ = false;
      return value;
    }
    std::memcpy(&value, rest_.data(), sizeof value);
    rest_ = rest_.subspan(sizeof value);
    at_ += sizeof value;
    return value;
  }

  std::uint64_t uleb() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; ok_ && shift < 64; shift += 7) {
      const auto byte = fixed<std::uint8_t>();
      value |= std::uint64_t{byte & 0x7fu} << shift;
      if ((byte & 0x80) == 0) return value;
    }
    ok_ = false;
    return 0;
  }

  std::int64_t sleb() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; ok_ && shift < 64; shift += 7) {
      const auto byte = fixed<std::uint8_t>();
      value |= std::uint64_t{byte & 0x7fu} << shift;
      if ((byte & 0x80) != 0) continue;
      if ((byte & 0x40) != 0 && shift + 7 < 64) value |= ~std::uint64_t{0} << (shift + 7);
      return static_cast<std::int64_t>(value);
    }
    ok_ = false;
    return 0;
  }

  std::string_view text() {
    const std::uint64_t begin = at_;
    while (ok_ && fixed<char>() != 0) {
    }
    const auto bytes = image_.bytes(begin, at_ - begin);
    if (bytes.empty()) return {};
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size() - 1};
  }

  /// A pointer in the given encoding; indirection is left to the caller.
  std::uint64_t pointer(std::uint8_t encoding) {
    const std::uint64_t here = at_;
    const std::uint64_t value = number(encoding);
    return value != 0 && (encoding & 0x70) == encoding_relative_to_here ? value + here : value;
  }

  std::uint64_t number(std::uint8_t encoding) {
    switch (encoding & 0x0f) {
      case 0x00:
      case 0x04:
      case 0x0c: return fixed<std::uint64_t>();
      case 0x01: return uleb();
      case 0x02: return fixed<std::uint16_t>();
      case 0x03: return fixed<std::uint32_t>();
      case 0x09: return static_cast<std::uint64_t>(sleb());
      case 0x0a: return static_cast<std::uint64_t>(std::int64_t{fixed<std::int16_t>()});
      case 0x0b: return static_cast<std::uint64_t>(std::int64_t{fixed<std::int32_t>()});
      default: ok_ = false; return 0;
    }
  }

 private:
  static constexpr std::uint64_t read_ahead = 64;

  const ElfImage& image_;
  std::uint64_t at_;
  std::span<const std::byte> rest_;  ///< of what was read, from `at_` on
  bool ok_ = true;
};

}  // namespace hoist::detail::program
