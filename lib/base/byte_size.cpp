// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/byte_size.hpp>
#include <hoist/error.hpp>

#include <charconv>
#include <cmath>

namespace hoist {

ByteSize::ByteSize(std::string_view text) {
  const auto bad = [&] {
    throw BadArgument("\"" + std::string(text) +
                      "\" is no size in bytes: give a number, or a number with K, M, G or T "
                      "behind it, such as \"1.5G\"");
  };
  double number = 0;
  const char* last = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data(), last, number, std::chars_format::fixed);
  if (error != std::errc{} || !std::isfinite(number) || number < 0) bad();
  double unit = 1;
  if (end != last) {
    const std::size_t power = std::string_view("KMGT").find(static_cast<char>(*end & ~0x20));
    if (power == std::string_view::npos || end + 1 != last) bad();
    unit = std::ldexp(1.0, 10 * (static_cast<int>(power) + 1));
  }
  if (number * unit >= 0x1p63) bad();
  bytes_ = static_cast<std::uint64_t>(number * unit);
}

}  // namespace hoist
