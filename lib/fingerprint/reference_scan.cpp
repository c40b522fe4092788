// SPDX-License-Identifier: BSD-3-Clause
#include "fingerprint/reference_scan.hpp"

#include <elf.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <vector>

#include "fingerprint/code_decode.hpp"
#include "fingerprint/text_bytes.hpp"

namespace hoist::detail::fingerprint {

namespace {

/// How far the end of an instruction may be from the end of the address in it: an immediate.
constexpr std::uint64_t max_immediate = 4;

std::uint32_t load32(const std::byte* at) {
  std::uint32_t value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

class Scan {
 public:
  Scan(program::ElfImage& image, std::span<DataWindow> windows,
       const std::unordered_set<std::uint64_t>& ignored)
      : image_(image), windows_(windows), ignored_(ignored) {}

  void run() {
    for (std::size_t i = 0; i + 1 < windows_.size(); ++i) {
      if (windows_[i + 1].begin > windows_[i].begin) cut(windows_[i + 1].begin);
    }
    low_ = windows_.front().begin;
    for (const DataWindow& window : windows_) high_ = std::max(high_, window.end);
    for (const program::ElfSection& section : image_.sections()) {
      if (section.kind == program::SectionKind::code) {
        scan_code(section);
        scan_relative_tables(section);
      } else if (!image_.is_relocatable() && section.has_content) {
        scan_pointers(section);
      }
    }
    for (const program::ElfRelocation& relocation : image_.relocations()) {
      if (relocation.type == R_X86_64_RELATIVE) cut(static_cast<std::uint64_t>(relocation.addend));
    }
  }

 private:
  DataWindow* window_of(std::uint64_t target) {
    auto after = std::upper_bound(
        windows_.begin(), windows_.end(), target,
        [](std::uint64_t value, const DataWindow& window) { return value <= window.begin; });
    if (after == windows_.begin()) return nullptr;
    DataWindow& window = *std::prev(after);
    return target < window.end ? &window : nullptr;
  }

  void cut(std::uint64_t target) {
    DataWindow* window = window_of(target);
    if (window == nullptr || ignored_.contains(target)) return;
    // Windows that begin at one address stand next to each other.
    const std::uint64_t begin = window->begin;
    for (; window->begin == begin; --window) {
      window->end = std::min(window->end, target);
      if (window == windows_.data()) break;
    }
  }

  /// Looks at every position for a number that, as distance from there or as absolute address, is
  /// in a window. Blocks without one, nearly all, are passed over a few instructions per byte.
  void scan_code(const program::ElfSection& section) {
    const auto bytes = image_.bytes(section.address, section.size);
    constexpr std::size_t lanes = 16;
    constexpr std::size_t block = lanes * sizeof(std::uint32_t);
    const auto first = static_cast<std::uint32_t>(low_ - max_immediate);
    const auto span = static_cast<std::uint32_t>(
        std::min<std::uint64_t>(high_ - low_ + max_immediate, 0xffffffff));
    const auto origin = static_cast<std::uint32_t>(section.address + 4 - first);
    const bool absolute = !image_.is_relocatable();
    std::size_t at = 0;
    // One block more than is looked at must be readable, for the three shifted passes.
    for (; at + 2 * block <= bytes.size(); at += block) {
      std::uint32_t hits = 0;
      for (std::size_t shift = 0; shift < 4; ++shift) {
        const std::byte* position = bytes.data() + at + shift;
        const auto offset = origin + static_cast<std::uint32_t>(at + shift);
        for (std::uint32_t lane = 0; lane < lanes; ++lane) {
          const std::uint32_t value = load32(position + lane * 4);
          hits |= static_cast<std::uint32_t>(value + offset + lane * 4 < span);
          if (absolute) hits |= static_cast<std::uint32_t>(value - first < span);
        }
      }
      if (hits != 0) {
        for (std::size_t i = 0; i < block; ++i) consider(section, bytes, at + i);
      }
    }
    for (; at + 4 <= bytes.size(); ++at) consider(section, bytes, at);
  }

  void consider(const program::ElfSection& section, std::span<const std::byte> bytes,
                std::size_t at) {
    const std::uint32_t value = load32(bytes.data() + at);
    const auto byte_before = [&](std::size_t distance) {
      return at >= distance ? std::to_integer<unsigned>(bytes[at - distance]) : 0u;
    };
    // [rip + disp32] is the one addressing form with mod 0 and rm 5.
    if ((byte_before(1) & 0xc7) == 0x05) {
      const std::uint64_t target =
          section.address + at + 4 + static_cast<std::uint64_t>(static_cast<std::int32_t>(value));
      const bool lea = byte_before(2) == 0x8d && (byte_before(3) & 0xfb) == 0x48;
      for (std::uint64_t immediate = 0; immediate <= max_immediate; ++immediate) {
        if (window_of(target + immediate) == nullptr) continue;
        // Seven bytes that make sense are no accident; anything else is checked.
        if (lea && immediate == 0) {
          cut(target);
        } else {
          read_function_at(section.address + at);
        }
        break;
      }
    }
    if (!image_.is_relocatable() && window_of(value) != nullptr) {
      read_function_at(section.address + at);
    }
  }

  /// clang makes tables of pointers to texts into tables of distances, so that only these refer to
  /// the texts. Wherever the address of something is taken that looks like such a table, its texts
  /// are bounds.
  void scan_relative_tables(const program::ElfSection& section) {
    const auto bytes = image_.bytes(section.address, section.size);
    std::size_t at = 1;
    while (at + 6 <= bytes.size()) {
      const void* found = std::memchr(bytes.data() + at, 0x8d, bytes.size() - at - 5);
      if (found == nullptr) return;
      at = static_cast<std::size_t>(static_cast<const std::byte*>(found) - bytes.data());
      const bool lea = (std::to_integer<unsigned>(bytes[at - 1]) & 0xfb) == 0x48 &&
                       (std::to_integer<unsigned>(bytes[at + 1]) & 0xc7) == 0x05;
      if (lea) {
        const auto distance = static_cast<std::int32_t>(load32(bytes.data() + at + 2));
        const std::uint64_t table =
            section.address + at + 6 + static_cast<std::uint64_t>(std::int64_t{distance});
        if (table % 4 == 0 && tables_.insert(table).second) read_relative_table(table);
      }
      ++at;
    }
  }

  void read_relative_table(std::uint64_t table) {
    texts_.clear();
    for (std::uint64_t at = table;; at += 4) {
      const auto entry = image_.int32(at);
      if (!entry || *entry == 0) break;
      const std::uint64_t text = table + static_cast<std::uint64_t>(std::int64_t{*entry});
      // A text starts where another thing ends, and isn't empty: a table of small numbers would
      // seem to refer to what is in or after it.
      const program::ElfSection* section = image_.section_at(text);
      const auto around = image_.bytes(text - 1, 2);
      if (section == nullptr || around.empty() || around[0] != std::byte{} ||
          around[1] == std::byte{} || end_of_text(image_, text, section->end()) == text) {
        break;
      }
      texts_.push_back(text);
    }
    const std::uint64_t end = table + texts_.size() * 4;
    const bool inside = std::any_of(texts_.begin(), texts_.end(), [&](std::uint64_t text) {
      return text >= table && text < end;
    });
    if (texts_.size() < 2 || inside) return;
    for (const std::uint64_t text : texts_) cut(text);
  }

  /// Takes all references of the function that covers address.
  void read_function_at(std::uint64_t address) {
    const program::ElfSymbol* function = image_.function_at(address);
    if (function == nullptr || function->size == 0) return;
    if (!read_.insert(function->address).second) return;
    for (const CodeRef& ref : decode_code(image_, function->address, function->end()).refs) {
      if (ref.use != RefUse::branch && ref.use != RefUse::tls) cut(ref.target);
    }
  }

  void scan_pointers(const program::ElfSection& section) {
    const auto bytes = image_.bytes(section.address, section.size);
    for (std::size_t at = (8 - section.address % 8) % 8; at + 8 <= bytes.size(); at += 8) {
      std::uint64_t value;
      std::memcpy(&value, bytes.data() + at, sizeof value);
      if (value - low_ < high_ - low_) cut(value);
    }
  }

  program::ElfImage& image_;
  std::span<DataWindow> windows_;
  const std::unordered_set<std::uint64_t>& ignored_;
  std::uint64_t low_ = 0;
  std::uint64_t high_ = 0;
  std::unordered_set<std::uint64_t> read_;
  std::unordered_set<std::uint64_t> tables_;
  std::vector<std::uint64_t> texts_;
};

}  // namespace

void narrow_windows(program::ElfImage& image, std::span<DataWindow> windows,
                    const std::unordered_set<std::uint64_t>& ignored) {
  if (!windows.empty()) Scan(image, windows, ignored).run();
}

}  // namespace hoist::detail::fingerprint
