// SPDX-License-Identifier: BSD-3-Clause
#include "program/unwind_tables.hpp"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <string_view>
#include <utility>
#include <vector>

#include "program/unwind_cursor.hpp"

namespace hoist::detail::program {

namespace {

/// What a frame entry needs to know of the information it shares with others.
struct CommonEntry {
  std::uint8_t code_encoding = 0;
  std::uint8_t handler_encoding = encoding_absent;
  bool augmented = false;
};

std::optional<CommonEntry> read_common(const ElfImage& image, std::uint64_t address) {
  UnwindCursor cursor(image, address);
  const auto length = cursor.fixed<std::uint32_t>();
  if (length == 0 || length == 0xffffffff || cursor.fixed<std::uint32_t>() != 0)
    return std::nullopt;
  const auto version = cursor.fixed<std::uint8_t>();
  const std::string_view augmentation = cursor.text();
  cursor.uleb();
  cursor.sleb();
  if (version == 1) {
    cursor.fixed<std::uint8_t>();
  } else {
    cursor.uleb();
  }
  CommonEntry common;
  if (!augmentation.starts_with('z')) return cursor.ok() ? std::optional(common) : std::nullopt;
  common.augmented = true;
  cursor.uleb();
  for (const char letter : augmentation.substr(1)) {
    if (letter == 'R') {
      common.code_encoding = cursor.fixed<std::uint8_t>();
    } else if (letter == 'L') {
      common.handler_encoding = cursor.fixed<std::uint8_t>();
    } else if (letter == 'P') {
      const auto encoding = cursor.fixed<std::uint8_t>();
      cursor.pointer(encoding);
    } else if (letter != 'S' && letter != 'B') {
      return std::nullopt;
    }
  }
  return cursor.ok() ? std::optional(common) : std::nullopt;
}

std::optional<FrameEntry> read_frame(const ElfImage& image, std::uint64_t address) {
  UnwindCursor cursor(image, address);
  const auto length = cursor.fixed<std::uint32_t>();
  if (length == 0 || length == 0xffffffff) return std::nullopt;
  const std::uint64_t field = cursor.at();
  const auto distance = cursor.fixed<std::uint32_t>();
  const auto common = read_common(image, field - distance);
  if (!common) return std::nullopt;
  FrameEntry frame;
  frame.begin = cursor.pointer(common->code_encoding);
  frame.end = frame.begin + cursor.number(common->code_encoding);
  if (common->augmented) {
    cursor.uleb();
    if (common->handler_encoding != encoding_absent) {
      frame.handlers = cursor.pointer(common->handler_encoding);
    }
  }
  if (!cursor.ok() || frame.end <= frame.begin) return std::nullopt;
  return frame;
}

/// Where the entry for address is, by the linker's index; 0 for none, nothing without an index.
std::optional<std::uint64_t> find_by_header(const ElfImage& image, std::uint64_t address) {
  const ElfSection* index = image.frame_header();
  if (index == nullptr) return std::nullopt;
  UnwindCursor cursor(image, index->address);
  const auto version = cursor.fixed<std::uint8_t>();
  const auto frame_encoding = cursor.fixed<std::uint8_t>();
  const auto count_encoding = cursor.fixed<std::uint8_t>();
  const auto table_encoding = cursor.fixed<std::uint8_t>();
  // Every linker writes pairs of signed 32-bit distances from the index's start.
  if (version != 1 || table_encoding != (encoding_relative_to_index | 0x0b)) return std::nullopt;
  cursor.pointer(frame_encoding);
  const std::uint64_t count = cursor.number(count_encoding);
  const std::uint64_t table = cursor.at();
  if (!cursor.ok() || count > index->size / 8) return std::nullopt;
  if (count == 0) return 0;

  const auto entries = image.bytes(table, count * 8);
  if (entries.empty()) return std::nullopt;
  const auto entry = [&](std::uint64_t at) {
    std::int32_t distance = 0;
    std::memcpy(&distance, entries.data() + at, sizeof distance);
    return index->address + static_cast<std::uint64_t>(std::int64_t{distance});
  };
  std::uint64_t low = 0;
  std::uint64_t high = count;
  while (high - low > 1) {
    const std::uint64_t middle = low + (high - low) / 2;
    (entry(middle * 8) <= address ? low : high) = middle;
  }
  return entry(low * 8 + 4);
}

/// The same by reading all of .eh_frame, once.
std::uint64_t find_by_reading(ElfImage& image, std::uint64_t address) {
  auto& index = image.frame_index();
  if (!index) {
    index.emplace();
    const ElfSection* section = image.section_named(".eh_frame");
    if (section != nullptr && section->has_content) {
      for (std::uint64_t at = section->address; at < section->end();) {
        const auto length = static_cast<std::uint32_t>(image.int32(at).value_or(0));
        // A zero ends what one object brought; others may follow. The long form isn't used.
        if (length != 0 && length != 0xffffffff && image.int32(at + 4).value_or(0) != 0) {
          if (const auto frame = read_frame(image, at)) index->emplace_back(frame->begin, at);
        }
        at += std::uint64_t{length} + 4;
      }
    }
    std::sort(index->begin(), index->end());
  }
  const auto after =
      std::upper_bound(index->begin(), index->end(), std::pair(address, ~std::uint64_t{0}));
  return after == index->begin() ? 0 : std::prev(after)->second;
}

}  // namespace

std::optional<FrameEntry> find_frame(ElfImage& image, std::uint64_t address) {
  auto place = find_by_header(image, address);
  if (!place) place = find_by_reading(image, address);
  if (*place == 0) return std::nullopt;
  const auto frame = read_frame(image, *place);
  if (!frame || address < frame->begin || address >= frame->end) return std::nullopt;
  return frame;
}

}  // namespace hoist::detail::program
