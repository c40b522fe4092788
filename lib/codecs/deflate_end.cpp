// SPDX-License-Identifier: BSD-3-Clause
#include "codecs/deflate_end.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <stdexcept>

namespace hoist::detail::codecs {

namespace {

constexpr unsigned max_code = 15;
constexpr std::size_t table_size = std::size_t{1} << max_code;
constexpr std::size_t literals = 256;
constexpr std::size_t end_of_block = 256;

/// Reads bits, lowest first; yields zeros beyond the end.
class Bits {
 public:
  explicit Bits(std::span<const std::byte> bytes) : bytes_(bytes) {}

  /// The next 56 bits at least.
  std::uint64_t window() const {
    const std::size_t at = position_ / 8;
    std::uint64_t word = 0;
    if (at + 8 <= bytes_.size()) {
      std::memcpy(&word, bytes_.data() + at, 8);
    } else if (at < bytes_.size()) {
      std::memcpy(&word, bytes_.data() + at, bytes_.size() - at);
    } else {
      throw std::logic_error("the deflate stream has no end");
    }
    if constexpr (std::endian::native == std::endian::big) word = __builtin_bswap64(word);
    return word >> (position_ % 8);
  }
  unsigned get(unsigned n) {
    const auto value = static_cast<unsigned>(window() & ((1U << n) - 1));
    position_ += n;
    return value;
  }
  void skip(std::size_t n) { position_ += n; }
  void to_byte() { position_ = (position_ + 7) / 8 * 8; }
  std::size_t position() const { return position_; }

 private:
  std::span<const std::byte> bytes_;
  std::size_t position_ = 0;
};

/// Canonical codes of the given lengths; the first bit is the lowest one.
template <class Found>
void for_each_code(std::span<const std::uint8_t> lengths, const Found& found) {
  std::array<unsigned, max_code + 2> next{};
  for (const std::uint8_t length : lengths) {
    if (length > 0) ++next[length + 1U];
  }
  for (unsigned length = 1; length <= max_code; ++length) {
    next[length + 1] += next[length];
    next[length + 1] <<= 1;
  }
  // next[length] is now twice the codes before it: the first code of that length.
  for (std::size_t symbol = 0; symbol < lengths.size(); ++symbol) {
    const unsigned length = lengths[symbol];
    if (length == 0) continue;
    const unsigned code = next[length]++;
    unsigned reversed = 0;
    for (unsigned i = 0; i < length; ++i) reversed |= (code >> i & 1) << (length - 1 - i);
    found(symbol, length, reversed);
  }
}

unsigned length_extra(std::size_t symbol) {
  if (symbol < 265 || symbol == 285) return 0;
  return static_cast<unsigned>((symbol - 261) / 4);
}
unsigned distance_extra(std::size_t symbol) {
  return symbol < 4 ? 0 : static_cast<unsigned>(symbol / 2 - 1);
}

/// The number of bits to skip for each window of 15 bits: all literals that are complete in it, or
/// one length with its extra bits.
struct Tables {
  static constexpr std::uint8_t is_length = 0x40;
  static constexpr std::uint8_t is_end = 0x80;
  static constexpr std::uint8_t bits = 0x3F;

  std::array<std::uint8_t, table_size> symbol;
  std::array<std::uint8_t, table_size> distance;

  void build(std::span<const std::uint8_t> symbol_lengths,
             std::span<const std::uint8_t> distance_lengths) {
    symbol.fill(0);
    distance.fill(0);
    for_each_code(symbol_lengths, [&](std::size_t s, unsigned length, unsigned code) {
      const unsigned all = length + (s > end_of_block ? length_extra(s) : 0);
      const unsigned kind = s < literals ? 0 : s == end_of_block ? is_end : is_length;
      fill(symbol, length, code, static_cast<std::uint8_t>(all | kind));
    });
    for_each_code(distance_lengths, [&](std::size_t s, unsigned length, unsigned code) {
      fill(distance, length, code, static_cast<std::uint8_t>(length + distance_extra(s)));
    });
    // From the top: literals lead to entries of fewer bits, which still hold single symbols.
    for (std::size_t i = table_size; i-- > 1;) {
      unsigned used = symbol[i];
      if (used == 0 || (used & (is_length | is_end)) != 0) continue;
      const unsigned next = symbol[i >> used];
      if (next != 0 && (next & (is_length | is_end)) == 0 && used + next <= max_code) used += next;
      symbol[i] = static_cast<std::uint8_t>(used);
    }
  }

 private:
  static void fill(std::array<std::uint8_t, table_size>& table, unsigned length, unsigned code,
                   std::uint8_t entry) {
    for (std::size_t i = code; i < table_size; i += std::size_t{1} << length) table[i] = entry;
  }
};

void read_code_lengths(Bits& in, Tables& tables) {
  const std::size_t symbols = in.get(5) + 257;
  const std::size_t distances = in.get(5) + 1;
  const unsigned codes = in.get(4) + 4;
  constexpr std::array<std::uint8_t, 19> order{16, 17, 18, 0, 8,  7, 9,  6, 10, 5,
                                               11, 4,  12, 3, 13, 2, 14, 1, 15};
  std::array<std::uint8_t, 19> code_lengths{};
  for (unsigned i = 0; i < codes; ++i)
    code_lengths[order[i]] = static_cast<std::uint8_t>(in.get(3));
  std::array<std::uint16_t, 128> lookup{};
  for_each_code(code_lengths, [&](std::size_t s, unsigned length, unsigned code) {
    for (std::size_t i = code; i < lookup.size(); i += std::size_t{1} << length) {
      lookup[i] = static_cast<std::uint16_t>(s << 4 | length);
    }
  });
  std::array<std::uint8_t, 320 + 138> lengths{};
  for (std::size_t at = 0; at < symbols + distances;) {
    const unsigned entry = lookup[in.window() & 127];
    if (entry == 0) throw std::logic_error("the deflate stream is damaged");
    in.skip(entry & 15);
    const unsigned s = entry >> 4;
    if (s < 16) {
      lengths[at++] = static_cast<std::uint8_t>(s);
      continue;
    }
    const std::uint8_t repeated = s == 16 && at > 0 ? lengths[at - 1] : std::uint8_t{0};
    const unsigned times = s == 16 ? 3 + in.get(2) : s == 17 ? 3 + in.get(3) : 11 + in.get(7);
    for (unsigned i = 0; i < times; ++i) lengths[at++] = repeated;
  }
  const std::span<const std::uint8_t> all(lengths);
  tables.build(all.first(symbols), all.subspan(symbols, distances));
}

void fixed_codes(Tables& tables) {
  std::array<std::uint8_t, 288> symbols{};
  for (std::size_t s = 0; s < symbols.size(); ++s) {
    symbols[s] = s < 144 ? 8 : s < 256 ? 9 : s < 280 ? 7 : 8;
  }
  std::array<std::uint8_t, 30> distances{};
  distances.fill(5);
  tables.build(symbols, distances);
}

void walk_symbols(Bits& in, const Tables& tables) {
  for (;;) {
    std::uint64_t window = in.window();
    unsigned used = 0;
    unsigned entry = 0;
    for (int i = 0; i < 3; ++i) {
      entry = tables.symbol[window & (table_size - 1)];
      if ((entry & (Tables::is_length | Tables::is_end)) != 0) break;
      if (entry == 0) throw std::logic_error("the deflate stream is damaged");
      window >>= entry;
      used += entry;
      entry = 0;
    }
    in.skip(used);
    if (entry == 0) continue;
    in.skip(entry & Tables::bits);
    if ((entry & Tables::is_end) != 0) return;
    const unsigned distance = tables.distance[in.window() & (table_size - 1)];
    if (distance == 0) throw std::logic_error("the deflate stream is damaged");
    in.skip(distance);
  }
}

}  // namespace

void open_deflate_end(std::vector<std::byte>& stream) {
  thread_local const auto tables = std::make_unique<Tables>();
  Bits in(stream);
  std::size_t latest_block = 0;
  for (bool last = false; !last;) {
    latest_block = in.position();
    last = in.get(1) != 0;
    switch (in.get(2)) {
      case 0: {
        in.to_byte();
        const unsigned bytes = in.get(16);
        in.skip(16 + std::size_t{8} * bytes);
        break;
      }
      case 1:
        fixed_codes(*tables);
        walk_symbols(in, *tables);
        break;
      default: read_code_lengths(in, *tables); walk_symbols(in, *tables);
    }
  }
  stream[latest_block / 8] &= ~(std::byte{1} << (latest_block % 8));
  // A stored block's head is three zero bits, zeros to the byte's end, then 0 and its complement.
  stream.resize((in.position() + 3 + 7) / 8);
  constexpr std::array<unsigned char, 9> empty_blocks{0, 0, 0xFF, 0xFF, 0, 0, 0, 0xFF, 0xFF};
  for (const unsigned char byte : empty_blocks) stream.push_back(std::byte{byte});
}

}  // namespace hoist::detail::codecs
