// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/digest.hpp>
#include <hoist/error.hpp>

#include <charconv>

namespace hoist {

std::string Digest::hex() const {
  constexpr char digits[] = "0123456789abcdef";
  std::string text(32, '0');
  for (std::size_t i = 0; i < 16; ++i) {
    text[15 - i] = digits[(high >> (4 * i)) & 15];
    text[31 - i] = digits[(low >> (4 * i)) & 15];
  }
  return text;
}

Digest Digest::from_hex(std::string_view text) {
  const auto half = [&](std::string_view digits) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + 16, value, 16);
    if (error != std::errc{} || end != digits.data() + 16) {
      throw BadArgument("not a digest of 32 hex digits: \"" + std::string(text) + "\"");
    }
    return value;
  };
  if (text.size() != 32)
    throw BadArgument("not a digest of 32 hex digits: \"" + std::string(text) + "\"");
  return {.low = half(text.substr(16)), .high = half(text.substr(0, 16))};
}

}  // namespace hoist
