// SPDX-License-Identifier: BSD-3-Clause
//
// ElfImage: symbols and relocations.
#include <elf.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <map>
#include <numeric>
#include <tuple>
#include <utility>
#include <vector>

#include "program/elf_image.hpp"
#include "program/symbol_names.hpp"

namespace hoist::detail::program {

namespace {

const ElfSymbol* following(std::span<const ElfSymbol> symbols, std::uint64_t address) {
  auto after = std::upper_bound(
      symbols.begin(), symbols.end(), address,
      [](std::uint64_t value, const ElfSymbol& symbol) { return value < symbol.address; });
  return after == symbols.end() ? nullptr : &*after;
}

/// Which of several names for one range is preferred; low is better.
std::uint8_t rank_of(const Elf64_Sym& symbol) {
  if (ELF64_ST_TYPE(symbol.st_info) == STT_NOTYPE) return 3;
  switch (ELF64_ST_BIND(symbol.st_info)) {
    case STB_GLOBAL: return 0;
    case STB_WEAK: return 1;
    default: return 2;
  }
}

std::uint32_t gnu_hash(std::string_view name) {
  std::uint32_t hash = 5381;
  for (const char c : name) hash = hash * 33 + static_cast<unsigned char>(c);
  return hash;
}

/// Sorts by address, symbols of one address by number: a radix sort, since comparing takes ten
/// times as long.
void sort_by_address(std::pmr::vector<ElfSymbol>& symbols) {
  constexpr unsigned digit = 11;
  std::pmr::vector<ElfSymbol> sorted(symbols.size(), symbols.get_allocator());
  std::uint64_t highest = 0;
  for (const ElfSymbol& symbol : symbols) highest = std::max(highest, symbol.address);
  for (unsigned shift = 0; shift < 64 && highest >> shift != 0; shift += digit) {
    const auto digit_of = [shift](const ElfSymbol& symbol) {
      return (symbol.address >> shift) & ((1u << digit) - 1);
    };
    std::array<std::uint32_t, std::size_t{1} << digit> places{};
    for (const ElfSymbol& symbol : symbols) ++places[digit_of(symbol)];
    std::exclusive_scan(places.begin(), places.end(), places.begin(), std::uint32_t{0});
    for (const ElfSymbol& symbol : symbols) sorted[places[digit_of(symbol)]++] = symbol;
    symbols.swap(sorted);
  }
}

/// Of the symbols of one address keeps the largest; of these there may be several. One inside
/// another is a label.
void remove_labels(std::pmr::vector<ElfSymbol>& symbols) {
  std::size_t kept = 0;
  for (const ElfSymbol& symbol : symbols) {
    if (kept != 0) {
      const ElfSymbol& last = symbols[kept - 1];
      const bool same = symbol.address == last.address;
      if (same ? symbol.size < last.size : symbol.address < last.end()) continue;
      while (same && kept != 0 && symbols[kept - 1].address == symbol.address &&
             symbols[kept - 1].size < symbol.size) {
        --kept;
      }
    }
    symbols[kept++] = symbol;
  }
  symbols.resize(kept);
}

}  // namespace

ElfImage::Tables& ElfImage::tables() {
  if (tables_ == nullptr) {
    // Any table may get nearly all symbols, and one is copied to be sorted.
    std::uint64_t bytes = symbols_.size / sizeof(Elf64_Sym) * 3 * sizeof(ElfSymbol);
    for (const Range& table : rela_)
      bytes += table.size / sizeof(Elf64_Rela) * sizeof(ElfRelocation);
    tables_ = std::make_unique<Tables>(std::max<std::uint64_t>(bytes, 1));
  }
  return *tables_;
}

ElfImage::Tables& ElfImage::symbols() {
  Tables& all = tables();
  if (!std::exchange(symbols_read_, true)) read_symbols(all);
  return all;
}

void ElfImage::read_symbols(Tables& all) {
  const auto count = static_cast<std::uint32_t>(std::min<std::uint64_t>(
      symbols_.size / sizeof(Elf64_Sym), std::numeric_limits<std::uint32_t>::max()));
  all.functions.reserve(count);
  all.objects.reserve(count);
  Elf64_Sym symbol;
  for (std::uint32_t i = 1; i < count; ++i) {
    if (read(symbols_.offset + std::uint64_t{i} * sizeof symbol, symbol))
      add_symbol(all, i, symbol);
  }
  for (auto* const table : {&all.functions, &all.objects, &all.tls}) {
    sort_by_address(*table);
    remove_labels(*table);
  }
}

/// Adds the symbol to its table, if it is of interest.
void ElfImage::add_symbol(Tables& all, std::uint32_t number, const Elf64_Sym& symbol) {
  if (symbol.st_shndx >= kinds_.size() || symbol.st_shndx == SHN_UNDEF) return;
  const unsigned type = ELF64_ST_TYPE(symbol.st_info);
  const ElfSymbol entry = {.address = symbol.st_value,
                           .size = static_cast<std::uint32_t>(std::min<std::uint64_t>(
                               symbol.st_size, std::numeric_limits<std::uint32_t>::max())),
                           .number = number};
  if (entry.end() < entry.address) return;
  const std::optional<SectionKind> kind = kinds_[symbol.st_shndx];
  if (type == STT_TLS) {
    all.tls.push_back(entry);
  } else if (!kind || (type != STT_NOTYPE && type != STT_OBJECT && type != STT_COMMON &&
                       type != STT_FUNC && type != STT_GNU_IFUNC)) {
    return;
  } else if (*kind == SectionKind::code) {
    all.functions.push_back(entry);
  } else if (entry.size != 0 && *kind != SectionKind::metadata) {
    all.objects.push_back(entry);
  }
}

/// The symbol that covers address, of several the preferred one.
const ElfSymbol* ElfImage::covering(std::span<const ElfSymbol> symbols,
                                    std::uint64_t address) const {
  const auto after = std::upper_bound(
      symbols.begin(), symbols.end(), address,
      [](std::uint64_t value, const ElfSymbol& symbol) { return value < symbol.address; });
  if (after == symbols.begin()) return nullptr;
  const ElfSymbol* found = &*std::prev(after);
  if (address != found->address && address >= found->end()) return nullptr;
  for (const ElfSymbol* other = found; other != symbols.data();) {
    if ((--other)->address != found->address) break;
    if (is_preferred(*other, *found)) found = other;
  }
  return found;
}

bool ElfImage::is_preferred(const ElfSymbol& a, const ElfSymbol& b) const {
  Elf64_Sym of_a{};
  Elf64_Sym of_b{};
  read(symbols_.offset + std::uint64_t{a.number} * sizeof of_a, of_a);
  read(symbols_.offset + std::uint64_t{b.number} * sizeof of_b, of_b);
  const std::uint8_t rank = rank_of(of_a);
  if (rank != rank_of(of_b)) return rank < rank_of(of_b);
  return text_at(names_, of_a.st_name) < text_at(names_, of_b.st_name);
}

std::string_view ElfImage::name_of(const ElfSymbol& symbol) const {
  Elf64_Sym entry{};
  read(symbols_.offset + std::uint64_t{symbol.number} * sizeof entry, entry);
  return text_at(names_, entry.st_name);
}

const ElfSymbol* ElfImage::function_at(std::uint64_t address) {
  return covering(symbols().functions, address);
}

const ElfSymbol* ElfImage::function_after(std::uint64_t address) {
  return following(symbols().functions, address);
}

const ElfSymbol* ElfImage::object_at(std::uint64_t address) {
  return covering(symbols().objects, address);
}

const ElfSymbol* ElfImage::object_ending_at(std::uint64_t address) {
  if (address == 0) return nullptr;
  const ElfSymbol* symbol = object_at(address - 1);
  return symbol != nullptr && symbol->end() == address ? symbol : nullptr;
}

const ElfSymbol* ElfImage::object_after(std::uint64_t address) {
  return following(symbols().objects, address);
}

const ElfSymbol* ElfImage::tls_at(std::uint64_t offset) { return covering(symbols().tls, offset); }

std::string ElfImage::scope_of(std::uint64_t address, std::string& name) const {
  const std::uint64_t count = symbols_.size / sizeof(Elf64_Sym);
  const auto symbol_at = [this](std::uint64_t index) {
    Elf64_Sym symbol{};
    read(symbols_.offset + index * sizeof symbol, symbol);
    return symbol;
  };
  const auto is_function = [](const Elf64_Sym& symbol) {
    return ELF64_ST_TYPE(symbol.st_info) == STT_FUNC;
  };
  std::uint64_t found = 0;
  for (; found < count; ++found) {
    const Elf64_Sym symbol = symbol_at(found);
    if (!is_function(symbol) || symbol.st_value != address) continue;
    if (name.empty() || text_at(names_, symbol.st_name) == name) break;
  }
  if (found == count) return {};
  const Elf64_Sym function = symbol_at(found);
  name = text_at(names_, function.st_name);
  if (ELF64_ST_BIND(function.st_info) != STB_LOCAL) return {};
  // A source's local symbols follow an STT_FILE symbol with its base name. Two sources of one base
  // name may each have a local function of one name: their order tells these apart.
  std::string_view file;
  std::map<std::string_view, int> seen;
  for (std::uint64_t i = 0; i <= found; ++i) {
    const Elf64_Sym symbol = symbol_at(i);
    if (ELF64_ST_TYPE(symbol.st_info) == STT_FILE) file = text_at(names_, symbol.st_name);
    if (is_function(symbol) && text_at(names_, symbol.st_name) == name) ++seen[file];
  }
  return std::string(file) + "#" + std::to_string(seen[file]);
}

std::vector<std::uint64_t> ElfImage::functions_named(std::string_view base) const {
  std::vector<std::uint64_t> found;
  for (std::uint64_t i = 1; i < symbols_.size / sizeof(Elf64_Sym); ++i) {
    Elf64_Sym symbol{};
    if (!read(symbols_.offset + i * sizeof symbol, symbol)) break;
    if (ELF64_ST_TYPE(symbol.st_info) != STT_FUNC || symbol.st_shndx == SHN_UNDEF) continue;
    const std::string_view name = text_at(names_, symbol.st_name);
    if (name.starts_with(base) && base_name(name) == base) found.push_back(symbol.st_value);
  }
  return found;
}

void ElfImage::read_relocations(Tables& tables) {
  auto& all = tables.relocations;
  std::uint64_t total = 0;
  for (const Range& table : rela_) total += table.size / sizeof(Elf64_Rela);
  all.reserve(total);
  for (const Range& table : rela_) {
    const std::uint64_t count = table.size / sizeof(Elf64_Rela);
    for (std::uint64_t i = 0; i < count; ++i) {
      Elf64_Rela entry;
      if (!read(table.offset + i * sizeof entry, entry)) break;
      all.push_back({.offset = entry.r_offset,
                     .addend = entry.r_addend,
                     .type = static_cast<std::uint32_t>(ELF64_R_TYPE(entry.r_info)),
                     .symbol = static_cast<std::uint32_t>(ELF64_R_SYM(entry.r_info))});
    }
  }
  // RELR: an even entry is the address of a slot, an odd one a bitmap of the 63 slots after it. The
  // addend is what the file has in the slot.
  const auto add_relative = [this, &all](std::uint64_t slot) {
    const auto addend = word(slot);
    if (!addend) return;
    all.push_back({.offset = slot,
                   .addend = static_cast<std::int64_t>(*addend),
                   .type = R_X86_64_RELATIVE,
                   .symbol = 0});
  };
  for (const Range& table : relr_) {
    std::uint64_t base = 0;
    for (std::uint64_t i = 0; i < table.size / sizeof(std::uint64_t); ++i) {
      std::uint64_t entry = 0;
      if (!read(table.offset + i * sizeof entry, entry)) break;
      if ((entry & 1) == 0) {
        add_relative(entry);
        base = entry + sizeof entry;
        continue;
      }
      for (std::uint64_t bit = 0; bit < 63; ++bit) {
        if (((entry >> (bit + 1)) & 1) != 0) add_relative(base + bit * sizeof entry);
      }
      base += 63 * sizeof entry;
    }
  }
  const auto before = [](const ElfRelocation& a, const ElfRelocation& b) {
    return std::tie(a.offset, a.type, a.symbol, a.addend) <
           std::tie(b.offset, b.type, b.symbol, b.addend);
  };
  // Linkers sort most of them already.
  const auto rest = std::is_sorted_until(all.begin(), all.end(), before);
  const std::vector<ElfRelocation> sorted(all.begin(), rest);
  std::sort(rest, all.end(), before);
  const std::vector<ElfRelocation> others(rest, all.end());
  std::ranges::merge(sorted, others, all.begin(), before);
}

std::span<const ElfRelocation> ElfImage::relocations() {
  Tables& all = tables();
  if (!std::exchange(relocations_read_, true)) read_relocations(all);
  return all.relocations;
}

std::span<const ElfRelocation> ElfImage::relocations(std::uint64_t begin, std::uint64_t end) {
  const auto all = relocations();
  const auto less = [](const ElfRelocation& entry, std::uint64_t value) {
    return entry.offset < value;
  };
  const auto first = std::lower_bound(all.begin(), all.end(), begin, less);
  const auto last = std::lower_bound(first, all.end(), end, less);
  return {first, last};
}

DynamicSymbol ElfImage::dynamic_symbol(std::uint32_t index) const {
  Elf64_Sym symbol;
  if (index >= dynamic_symbols_.size / sizeof symbol ||
      !read(dynamic_symbols_.offset + std::uint64_t{index} * sizeof symbol, symbol)) {
    return {};
  }
  return {.name = text_at(dynamic_names_, symbol.st_name),
          .address = symbol.st_value,
          .size = symbol.st_size,
          .defined = symbol.st_shndx != SHN_UNDEF,
          .is_tls = ELF64_ST_TYPE(symbol.st_info) == STT_TLS};
}

std::optional<DynamicSymbol> ElfImage::find_dynamic(std::string_view name) const {
  if (gnu_hash_.size != 0) return find_hashed(name);
  const auto count = static_cast<std::uint32_t>(dynamic_symbols_.size / sizeof(Elf64_Sym));
  for (std::uint32_t i = 1; i < count; ++i) {
    const DynamicSymbol symbol = dynamic_symbol(i);
    if (symbol.defined && symbol.name == name) return symbol;
  }
  return std::nullopt;
}

std::optional<DynamicSymbol> ElfImage::find_hashed(std::string_view name) const {
  // Layout: header of four words, bloom filter of 64-bit words, buckets, chain of hashes.
  struct Header {
    std::uint32_t buckets, first_symbol, bloom_words, bloom_shift;
  } header{};
  if (!read(gnu_hash_.offset, header) || header.buckets == 0 || header.bloom_words == 0) {
    return std::nullopt;
  }
  const std::uint64_t end = gnu_hash_.offset + gnu_hash_.size;
  const std::uint64_t bloom = gnu_hash_.offset + sizeof header;
  const std::uint64_t buckets = bloom + std::uint64_t{header.bloom_words} * 8;
  const std::uint64_t chain = buckets + std::uint64_t{header.buckets} * 4;
  if (chain > end) return std::nullopt;

  const std::uint32_t hash = gnu_hash(name);
  std::uint64_t filter = 0;
  if (!read(bloom + std::uint64_t{hash / 64 % header.bloom_words} * 8, filter)) return std::nullopt;
  const std::uint64_t wanted =
      (std::uint64_t{1} << (hash % 64)) |
      (std::uint64_t{1} << ((header.bloom_shift < 32 ? hash >> header.bloom_shift : 0) % 64));
  if ((filter & wanted) != wanted) return std::nullopt;

  std::uint32_t index = 0;
  if (!read(buckets + std::uint64_t{hash % header.buckets} * 4, index)) return std::nullopt;
  for (; index >= header.first_symbol && index != 0; ++index) {
    const std::uint64_t at = chain + std::uint64_t{index - header.first_symbol} * 4;
    std::uint32_t entry = 0;
    if (at + sizeof entry > end || !read(at, entry)) break;
    if ((entry | 1) == (hash | 1)) {
      const DynamicSymbol symbol = dynamic_symbol(index);
      if (symbol.defined && symbol.name == name) return symbol;
    }
    if ((entry & 1) != 0) break;
  }
  return std::nullopt;
}

std::optional<DynamicSymbol> ElfImage::exported_at(std::uint64_t address) const {
  const auto count = static_cast<std::uint32_t>(dynamic_symbols_.size / sizeof(Elf64_Sym));
  std::optional<DynamicSymbol> best;
  for (std::uint32_t i = 1; i < count; ++i) {
    const DynamicSymbol symbol = dynamic_symbol(i);
    const bool covers = address >= symbol.address &&
                        (address == symbol.address || address - symbol.address < symbol.size);
    if (!symbol.defined || symbol.is_tls || !covers) continue;
    if (!best || symbol.name < best->name) best = symbol;
  }
  return best;
}

}  // namespace hoist::detail::program
