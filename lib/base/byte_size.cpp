// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/byte_size.hpp>
#include <hoist/error.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstddef>

namespace hoist {

ByteSize::ByteSize(std::string_view text) {
  const auto bad = [&] {
    throw BadArgument("\"" + std::string(text) +
                      "\" is no size in bytes: give a number, or a number with K, M, G or T "
                      "behind it (or KiB, MiB, GiB, TiB, the same), such as \"1.5G\"");
  };
  double number = 0;
  const char* last = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data(), last, number, std::chars_format::fixed);
  if (error != std::errc{} || !std::isfinite(number) || number < 0) bad();
  std::string_view unit(end, static_cast<std::size_t>(last - end));
  unit.remove_prefix(std::min(unit.find_first_not_of(' '), unit.size()));
  double factor = 1;
  if (!unit.empty()) {
    const std::size_t power = std::string_view("KMGT").find(static_cast<char>(unit[0] & ~0x20));
    if (power == std::string_view::npos || (unit.size() > 1 && unit.substr(1) != "iB")) bad();
    factor = std::ldexp(1.0, 10 * (static_cast<int>(power) + 1));
  }
  if (number * factor >= 0x1p63) bad();
  bytes_ = static_cast<std::uint64_t>(number * factor);
}

}  // namespace hoist
