// SPDX-License-Identifier: BSD-3-Clause
#include "fingerprint/handler_table.hpp"

#include "program/unwind_cursor.hpp"

namespace hoist::detail::fingerprint {

namespace {

std::uint64_t size_of_encoding(std::uint8_t encoding) {
  switch (encoding & 0x0f) {
    case 0x02:
    case 0x0a: return 2;
    case 0x03:
    case 0x0b: return 4;
    default: return 8;
  }
}

}  // namespace

std::vector<CaughtType> put_handlers(const program::ElfImage& image, std::uint64_t handlers,
                                     const DecodedCode& code, base::DigestStream& stream) {
  program::UnwindCursor cursor(image, handlers);
  const auto start_encoding = cursor.fixed<std::uint8_t>();
  const std::uint64_t start =
      start_encoding == program::encoding_absent ? code.begin : cursor.pointer(start_encoding);
  const auto type_encoding = cursor.fixed<std::uint8_t>();
  std::uint64_t types = 0;
  if (type_encoding != program::encoding_absent) {
    const std::uint64_t distance = cursor.uleb();
    types = cursor.at() + distance;
  }
  const auto site_encoding = cursor.fixed<std::uint8_t>();
  const std::uint64_t sites_size = cursor.uleb();
  const std::uint64_t sites_end = cursor.at() + sites_size;
  if (!cursor.ok()) return {};

  // A handler in another part of the function (.cold) is known by being elsewhere.
  const auto place = [&](std::uint64_t address) {
    return address >= code.begin && address <= code.end ? code.index_of(address) : 0xffffffffu;
  };
  std::vector<CaughtType> caught;
  while (cursor.ok() && cursor.at() < sites_end) {
    const std::uint64_t begin = code.begin + cursor.number(site_encoding);
    const std::uint64_t end = begin + cursor.number(site_encoding);
    const std::uint64_t landing = cursor.number(site_encoding);
    const std::uint64_t action = cursor.uleb();
    if (!cursor.ok()) break;
    stream.put32(place(begin));
    stream.put32(place(end));
    stream.put32(landing == 0 ? 0xfffffffeu : place(start + landing));
    std::uint64_t at = action == 0 ? 0 : sites_end + action - 1;
    // A chain longer than this is a damaged table.
    for (unsigned links = 0; at != 0 && links < 1000; ++links) {
      program::UnwindCursor link(image, at);
      const std::int64_t filter = link.sleb();
      const std::uint64_t next_from = link.at();
      const std::int64_t next = link.sleb();
      if (!link.ok()) return caught;
      stream.put64(static_cast<std::uint64_t>(filter > 0 ? 1 : filter));
      if (filter > 0 && types != 0) {
        program::UnwindCursor type(
            image, types - static_cast<std::uint64_t>(filter) * size_of_encoding(type_encoding));
        caught.push_back({.address = type.pointer(type_encoding & 0x7f),
                          .indirect = (type_encoding & program::encoding_indirect) != 0});
      }
      at = next == 0 ? 0 : next_from + static_cast<std::uint64_t>(next);
    }
    stream.put64(0);
  }
  return caught;
}

}  // namespace hoist::detail::fingerprint
