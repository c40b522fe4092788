// SPDX-License-Identifier: BSD-3-Clause
#include "fingerprint/unwind_tables.hpp"

#include <algorithm>
#include <iterator>
#include <string_view>
#include <utility>

namespace hoist::detail::fingerprint {

namespace {

// Pointer encodings (DW_EH_PE_*): the low four bits are the format, three more the base.
constexpr std::uint8_t absent = 0xff;
constexpr std::uint8_t indirect = 0x80;
constexpr std::uint8_t relative_to_here = 0x10;
constexpr std::uint8_t relative_to_index = 0x30;

/// Reads the little-endian formats of the exception tables. Past the end, or in a hole of the file,
/// everything is zero and ok() false.
class Cursor {
 public:
  Cursor(const program::ElfImage& image, std::uint64_t at) : image_(image), at_(at) {}

  std::uint64_t at() const { return at_; }
  bool ok() const { return ok_; }

  template <class T>
  T fixed() {
    T value{};
    const auto bytes = image_.bytes(at_, sizeof value);
    if (bytes.empty()) {
      ok_ = false;
      return value;
    }
    std::memcpy(&value, bytes.data(), sizeof value);
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
    return value != 0 && (encoding & 0x70) == relative_to_here ? value + here : value;
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
  const program::ElfImage& image_;
  std::uint64_t at_;
  bool ok_ = true;
};

std::uint64_t size_of_encoding(std::uint8_t encoding) {
  switch (encoding & 0x0f) {
    case 0x02:
    case 0x0a: return 2;
    case 0x03:
    case 0x0b: return 4;
    default: return 8;
  }
}

/// What a frame entry needs to know of the information it shares with others.
struct CommonEntry {
  std::uint8_t code_encoding = 0;
  std::uint8_t handler_encoding = absent;
  bool augmented = false;
};

std::optional<CommonEntry> read_common(const program::ElfImage& image, std::uint64_t address) {
  Cursor cursor(image, address);
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

std::optional<FrameEntry> read_frame(const program::ElfImage& image, std::uint64_t address) {
  Cursor cursor(image, address);
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
    if (common->handler_encoding != absent) {
      frame.handlers = cursor.pointer(common->handler_encoding);
    }
  }
  if (!cursor.ok() || frame.end <= frame.begin) return std::nullopt;
  return frame;
}

/// Where the entry for address is, by the linker's index; 0 for none, nothing without an index.
std::optional<std::uint64_t> find_by_header(const program::ElfImage& image, std::uint64_t address) {
  const program::ElfSection* index = image.frame_header();
  if (index == nullptr) return std::nullopt;
  Cursor cursor(image, index->address);
  const auto version = cursor.fixed<std::uint8_t>();
  const auto frame_encoding = cursor.fixed<std::uint8_t>();
  const auto count_encoding = cursor.fixed<std::uint8_t>();
  const auto table_encoding = cursor.fixed<std::uint8_t>();
  // Every linker writes pairs of signed 32-bit distances from the index's start.
  if (version != 1 || table_encoding != (relative_to_index | 0x0b)) return std::nullopt;
  cursor.pointer(frame_encoding);
  const std::uint64_t count = cursor.number(count_encoding);
  const std::uint64_t table = cursor.at();
  if (!cursor.ok() || count > index->size / 8) return std::nullopt;
  if (count == 0) return 0;

  const auto entry = [&](std::uint64_t at) {
    return index->address + static_cast<std::uint64_t>(std::int64_t{image.int32(at).value_or(0)});
  };
  std::uint64_t low = 0;
  std::uint64_t high = count;
  while (high - low > 1) {
    const std::uint64_t middle = low + (high - low) / 2;
    (entry(table + middle * 8) <= address ? low : high) = middle;
  }
  return entry(table + low * 8 + 4);
}

/// The same by reading all of .eh_frame, once.
std::uint64_t find_by_reading(program::ElfImage& image, std::uint64_t address) {
  auto& index = image.frame_index();
  if (!index) {
    index.emplace();
    const program::ElfSection* section = image.section_named(".eh_frame");
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

std::optional<FrameEntry> find_frame(program::ElfImage& image, std::uint64_t address) {
  auto place = find_by_header(image, address);
  if (!place) place = find_by_reading(image, address);
  if (*place == 0) return std::nullopt;
  const auto frame = read_frame(image, *place);
  if (!frame || address < frame->begin || address >= frame->end) return std::nullopt;
  return frame;
}

std::vector<CaughtType> put_handlers(const program::ElfImage& image, std::uint64_t handlers,
                                     const DecodedCode& code, base::DigestStream& stream) {
  Cursor cursor(image, handlers);
  const auto start_encoding = cursor.fixed<std::uint8_t>();
  const std::uint64_t start =
      start_encoding == absent ? code.begin : cursor.pointer(start_encoding);
  const auto type_encoding = cursor.fixed<std::uint8_t>();
  std::uint64_t types = 0;
  if (type_encoding != absent) {
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
      Cursor link(image, at);
      const std::int64_t filter = link.sleb();
      const std::uint64_t next_from = link.at();
      const std::int64_t next = link.sleb();
      if (!link.ok()) return caught;
      stream.put64(static_cast<std::uint64_t>(filter > 0 ? 1 : filter));
      if (filter > 0 && types != 0) {
        Cursor type(image,
                    types - static_cast<std::uint64_t>(filter) * size_of_encoding(type_encoding));
        caught.push_back({.address = type.pointer(type_encoding & 0x7f),
                          .indirect = (type_encoding & indirect) != 0});
      }
      at = next == 0 ? 0 : next_from + static_cast<std::uint64_t>(next);
    }
    stream.put64(0);
  }
  return caught;
}

}  // namespace hoist::detail::fingerprint
