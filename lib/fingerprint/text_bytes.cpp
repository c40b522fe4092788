// SPDX-License-Identifier: BSD-3-Clause
#include "fingerprint/text_bytes.hpp"

#include <algorithm>

namespace hoist::detail::fingerprint {

namespace {

/// Length of the UTF-8 character of a text at the start of bytes; 0 if there is none.
std::size_t character(std::span<const std::byte> bytes) {
  const auto at = [&](std::size_t i) { return std::to_integer<unsigned>(bytes[i]); };
  const unsigned lead = at(0);
  if (lead < 0x80) return lead >= 0x20 || (lead >= 0x07 && lead <= 0x0d) || lead == 0x1b ? 1 : 0;
  if (lead < 0xc2 || lead > 0xf4) return 0;
  const std::size_t length = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  if (bytes.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((at(i) & 0xc0) != 0x80) return 0;
  }
  return length;
}

}  // namespace

std::uint64_t end_of_text(const program::ElfImage& image, std::uint64_t address,
                          std::uint64_t limit) {
  const auto bytes = image.bytes(address, limit - address);
  for (std::size_t i = 0; i < bytes.size();) {
    if (bytes[i] == std::byte{}) return address + i + 1;
    const std::size_t length = character(bytes.subspan(i));
    if (length == 0) break;
    i += length;
  }
  return address;
}

bool is_text(std::span<const std::byte> bytes) {
  if (bytes.size() <= 8) return false;
  while (!bytes.empty() && bytes.front() != std::byte{}) {
    const std::size_t length = character(bytes);
    if (length == 0) return false;
    bytes = bytes.subspan(length);
  }
  return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{}; });
}

}  // namespace hoist::detail::fingerprint
