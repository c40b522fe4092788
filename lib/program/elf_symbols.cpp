// SPDX-License-Identifier: BSD-3-Clause
//
// ElfImage: symbols and relocations.
#include <elf.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <map>
#include <tuple>

#include "program/elf_image.hpp"

namespace hoist::detail::program {

namespace {

/// The symbol that covers address; symbols are sorted and don't overlap.
const ElfSymbol* covering(const std::vector<ElfSymbol>& symbols, std::uint64_t address) {
  auto after = std::upper_bound(
      symbols.begin(), symbols.end(), address,
      [](std::uint64_t value, const ElfSymbol& symbol) { return value < symbol.address; });
  if (after == symbols.begin()) return nullptr;
  const ElfSymbol& symbol = *std::prev(after);
  return address == symbol.address || address < symbol.end() ? &symbol : nullptr;
}

const ElfSymbol* following(const std::vector<ElfSymbol>& symbols, std::uint64_t address) {
  auto after = std::upper_bound(
      symbols.begin(), symbols.end(), address,
      [](std::uint64_t value, const ElfSymbol& symbol) { return value < symbol.address; });
  return after == symbols.end() ? nullptr : &*after;
}

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

}  // namespace

void ElfImage::read_symbols() {
  if (symbols_read_) return;
  symbols_read_ = true;
  const std::uint64_t count = symbols_.size / sizeof(Elf64_Sym);
  for (std::uint64_t i = 1; i < count; ++i) {
    Elf64_Sym symbol;
    if (!read(symbols_.offset + i * sizeof symbol, symbol)) break;
    if (symbol.st_shndx >= kinds_.size() && symbol.st_shndx != SHN_UNDEF) continue;
    const unsigned type = ELF64_ST_TYPE(symbol.st_info);
    ElfSymbol entry;
    entry.address = symbol.st_value;
    entry.size = static_cast<std::uint32_t>(
        std::min<std::uint64_t>(symbol.st_size, std::numeric_limits<std::uint32_t>::max()));
    entry.name = symbol.st_name;
    entry.rank = rank_of(symbol);
    entry.is_ifunc = type == STT_GNU_IFUNC;
    if (symbol.st_shndx == SHN_UNDEF || symbol.st_value + entry.size < symbol.st_value) continue;
    if (type == STT_TLS) {
      tls_.push_back(entry);
      continue;
    }
    const std::optional<SectionKind> kind = kinds_[symbol.st_shndx];
    if (!kind || (type != STT_NOTYPE && type != STT_OBJECT && type != STT_COMMON &&
                  type != STT_FUNC && type != STT_GNU_IFUNC)) {
      continue;
    }
    if (*kind == SectionKind::code) {
      functions_.push_back(entry);
    } else if (entry.size != 0 && *kind != SectionKind::metadata) {
      objects_.push_back(entry);
    }
  }

  const auto arrange = [this](std::vector<ElfSymbol>& symbols) {
    std::sort(symbols.begin(), symbols.end(), [this](const ElfSymbol& a, const ElfSymbol& b) {
      if (a.address != b.address) return a.address < b.address;
      if (a.size != b.size) return a.size > b.size;
      if (a.rank != b.rank) return a.rank < b.rank;
      return name_of(a) < name_of(b);
    });
    // Of several symbols for one range the first is kept; one inside another is a label.
    std::uint64_t covered = 0;
    const ElfSymbol* last = nullptr;
    std::size_t kept = 0;
    for (const ElfSymbol& symbol : symbols) {
      if (last != nullptr && (symbol.address < covered || symbol.address == last->address))
        continue;
      symbols[kept] = symbol;
      last = &symbols[kept++];
      covered = last->end();
    }
    symbols.resize(kept);
    symbols.shrink_to_fit();
  };
  arrange(functions_);
  arrange(objects_);
  arrange(tls_);
}

const ElfSymbol* ElfImage::function_at(std::uint64_t address) {
  read_symbols();
  return covering(functions_, address);
}

const ElfSymbol* ElfImage::function_after(std::uint64_t address) {
  read_symbols();
  return following(functions_, address);
}

const ElfSymbol* ElfImage::object_at(std::uint64_t address) {
  read_symbols();
  return covering(objects_, address);
}

const ElfSymbol* ElfImage::object_ending_at(std::uint64_t address) {
  if (address == 0) return nullptr;
  const ElfSymbol* symbol = object_at(address - 1);
  return symbol != nullptr && symbol->end() == address ? symbol : nullptr;
}

const ElfSymbol* ElfImage::object_after(std::uint64_t address) {
  read_symbols();
  return following(objects_, address);
}

const ElfSymbol* ElfImage::tls_at(std::uint64_t offset) {
  read_symbols();
  return covering(tls_, offset);
}

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

void ElfImage::read_relocations() {
  if (relocations_read_) return;
  relocations_read_ = true;
  for (const Range& table : rela_) {
    const std::uint64_t count = table.size / sizeof(Elf64_Rela);
    relocations_.reserve(relocations_.size() + count);
    for (std::uint64_t i = 0; i < count; ++i) {
      Elf64_Rela entry;
      if (!read(table.offset + i * sizeof entry, entry)) break;
      relocations_.push_back({.offset = entry.r_offset,
                              .addend = entry.r_addend,
                              .type = static_cast<std::uint32_t>(ELF64_R_TYPE(entry.r_info)),
                              .symbol = static_cast<std::uint32_t>(ELF64_R_SYM(entry.r_info))});
    }
  }
  // RELR: an even entry is the address of a slot, an odd one a bitmap of the 63 slots after it. The
  // addend is what the file has in the slot.
  const auto add_relative = [this](std::uint64_t slot) {
    const auto addend = word(slot);
    if (!addend) return;
    relocations_.push_back({.offset = slot,
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
  // Linkers mostly sort them already.
  const auto before = [](const ElfRelocation& a, const ElfRelocation& b) {
    return std::tie(a.offset, a.type, a.symbol, a.addend) <
           std::tie(b.offset, b.type, b.symbol, b.addend);
  };
  if (!std::is_sorted(relocations_.begin(), relocations_.end(), before)) {
    std::sort(relocations_.begin(), relocations_.end(), before);
  }
}

std::span<const ElfRelocation> ElfImage::relocations() {
  read_relocations();
  return relocations_;
}

std::span<const ElfRelocation> ElfImage::relocations(std::uint64_t begin, std::uint64_t end) {
  read_relocations();
  const auto less = [](const ElfRelocation& entry, std::uint64_t value) {
    return entry.offset < value;
  };
  const auto first = std::lower_bound(relocations_.begin(), relocations_.end(), begin, less);
  const auto last = std::lower_bound(first, relocations_.end(), end, less);
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
