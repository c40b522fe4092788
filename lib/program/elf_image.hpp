// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <elf.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <memory_resource>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "os/fresh_memory.hpp"

namespace hoist::detail::program {

/// What a section holds, as far as a code walk cares.
enum class SectionKind : std::uint8_t {
  code,      ///< executable
  constant,  ///< never written, or only by relocation at load time
  got,       ///< slots that the dynamic linker fills with addresses
  variable,  ///< writable, initial content in the file
  zero,      ///< writable, initially zero
  tls,       ///< initial image of thread-local variables
  metadata,  ///< for linker, loader and unwinder; describes the whole module
};

struct ElfSection {
  std::string_view name;
  std::uint64_t address = 0;
  std::uint64_t size = 0;
  std::uint64_t offset = 0;  ///< in the file; no content there when `has_content` is false
  SectionKind kind = SectionKind::constant;
  bool has_content = false;

  std::uint64_t end() const { return address + size; }
};

/// A named range of addresses.
struct ElfSymbol {
  std::uint64_t address = 0;
  std::uint32_t size = 0;
  std::uint32_t number = 0;  ///< in the file

  std::uint64_t end() const { return address + size; }
};

/// A symbol of the dynamic symbol table: what the dynamic linker binds by name.
struct DynamicSymbol {
  std::string_view name;
  std::uint64_t address = 0;
  std::uint64_t size = 0;
  bool defined = false;
  bool is_tls = false;
};

/// An address-sized slot that the dynamic linker writes.
struct ElfRelocation {
  std::uint64_t offset = 0;
  std::int64_t addend = 0;
  std::uint32_t type = 0;
  std::uint32_t symbol = 0;  ///< index in the dynamic symbol table, 0 for none
};

/// The build-id in the content of a note segment, or nothing.
std::span<const std::byte> find_build_id(std::span<const std::byte> notes);

/// Programs linked to a fixed address have pointers without relocations: numbers. One that points
/// further than this into a variable is taken for a plain number: programs have large arrays, and
/// with them many numbers that could be meant so.
inline constexpr std::uint64_t max_pointer_offset = 4096;

/// A 64-bit ELF file, mapped for reading. Addresses are those of the file (link-time addresses).
///
/// Every access is checked against the file's size: a damaged or odd file yields empty answers,
/// never a crash. Sections, dynamic symbols and notes are available at once; the symbol table and
/// the relocations are read on first use. Not thread-safe for that reason.
class ElfImage {
 public:
  /// Null if the file can't be opened or isn't a little-endian ELF64 executable or shared object
  /// with section headers.
  static std::unique_ptr<ElfImage> open(const std::string& path);

  ElfImage(const ElfImage&) = delete;
  ElfImage& operator=(const ElfImage&) = delete;
  ~ElfImage();

  /// False for an executable linked to a fixed address: its pointers need no relocation.
  bool is_relocatable() const { return relocatable_; }
  /// Whether there is a full symbol table (`strip` removes it).
  bool has_symbol_table() const { return symbols_.size != 0; }
  std::span<const std::byte> build_id() const { return build_id_; }
  std::uint64_t inode() const { return inode_; }
  std::uint64_t device() const { return device_; }

  /// Sections that are in memory at run time, in order of address.
  std::span<const ElfSection> sections() const { return sections_; }
  const ElfSection* section_at(std::uint64_t address) const;
  const ElfSection* section_named(std::string_view name) const;
  /// The index of the exception tables (.eh_frame_hdr), null for none.
  const ElfSection* frame_header() const { return frame_header_; }
  /// File content of [address, address + size); empty unless all of it is in one section's content.
  std::span<const std::byte> bytes(std::uint64_t address, std::uint64_t size) const;
  /// The same from address on as far as the section's content goes, but at most `size` bytes.
  std::span<const std::byte> bytes_from(std::uint64_t address, std::uint64_t size) const;
  /// A little-endian value, or nothing if it isn't in the file.
  std::optional<std::uint64_t> word(std::uint64_t address) const;
  std::optional<std::int32_t> int32(std::uint64_t address) const;

  /// The function symbol that covers address. Zero-sized ones (assembly) cover only their start.
  const ElfSymbol* function_at(std::uint64_t address);
  /// The data symbol that covers address.
  const ElfSymbol* object_at(std::uint64_t address);
  /// The data symbol whose last byte is just before address.
  const ElfSymbol* object_ending_at(std::uint64_t address);
  /// A symbol at the first place after address where a data or function symbol starts.
  const ElfSymbol* object_after(std::uint64_t address);
  const ElfSymbol* function_after(std::uint64_t address);
  /// The thread-local symbol at this offset in the module's thread-local block.
  const ElfSymbol* tls_at(std::uint64_t offset);
  /// Distance from the start of the main executable's thread-local block to the thread pointer.
  std::uint64_t tls_block_size() const { return tls_block_size_; }
  std::uint64_t tls_image_address() const { return tls_image_address_; }
  /// For a function whose name other source files may use too (a local symbol): its source file and
  /// its number among the functions of this name in files of that name, as "file#number"; otherwise
  /// empty. The function is the one called `name` at `address`; an empty `name` is set to the first
  /// there.
  std::string scope_of(std::uint64_t address, std::string& name) const;
  /// The addresses of the functions with this name, which compilers may have appended something to.
  /// Cost: a look at all symbols.
  std::vector<std::uint64_t> functions_named(std::string_view base) const;
  std::string_view name_of(const ElfSymbol& symbol) const;

  /// All relocations, in order of offset.
  std::span<const ElfRelocation> relocations();
  /// Those with begin <= offset < end.
  std::span<const ElfRelocation> relocations(std::uint64_t begin, std::uint64_t end);
  DynamicSymbol dynamic_symbol(std::uint32_t index) const;
  /// The definition of `name` that other modules see.
  std::optional<DynamicSymbol> find_dynamic(std::string_view name) const;
  /// Start and place of the .eh_frame entries, by start; for unwind_tables.cpp.
  std::optional<std::vector<std::pair<std::uint64_t, std::uint64_t>>>& frame_index() {
    return frame_index_;
  }
  /// The exported function that covers address.
  std::optional<DynamicSymbol> exported_at(std::uint64_t address) const;

 private:
  struct Range {
    std::uint64_t offset = 0;
    std::uint64_t size = 0;
  };

  /// What is read on first use, in memory of its own.
  struct Tables {
    explicit Tables(std::size_t bytes) : memory(bytes, os::fresh_memory()) {}
    std::pmr::monotonic_buffer_resource memory;
    std::pmr::vector<ElfSymbol> functions{&memory};
    std::pmr::vector<ElfSymbol> objects{&memory};
    std::pmr::vector<ElfSymbol> tls{&memory};
    std::pmr::vector<ElfRelocation> relocations{&memory};
  };

  ElfImage() = default;

  bool parse();
  void parse_program_headers();
  Tables& tables();
  /// The tables, with symbols.
  Tables& symbols();
  void read_symbols(Tables& tables);
  void add_symbol(Tables& tables, std::uint32_t number, const Elf64_Sym& symbol);
  const ElfSymbol* covering(std::span<const ElfSymbol> symbols, std::uint64_t address) const;
  bool is_preferred(const ElfSymbol& a, const ElfSymbol& b) const;
  void read_relocations(Tables& tables);
  /// Called before bytes of the file are read: has their pages entered into the page table, where
  /// page faults would cost more. Of large pieces hardly ever all is read.
  void prepare(std::uint64_t offset, std::uint64_t size) const {
    if (size == 0 || size > 4 * window) return;
    for (std::uint64_t at = offset / window; at <= (offset + size - 1) / window; ++at) {
      if (!prepared_[at]) prepare_window(at);
    }
  }
  void prepare_window(std::uint64_t index) const;
  /// Copies from the file; false if it isn't that long.
  template <class T>
  bool read(std::uint64_t offset, T& value) const {
    if (offset > size_ || size_ - offset < sizeof value) return false;
    prepare(offset, sizeof value);
    std::memcpy(&value, data_ + offset, sizeof value);
    return true;
  }
  std::string_view text_at(Range table, std::uint64_t offset) const;
  std::optional<DynamicSymbol> find_hashed(std::string_view name) const;

  static constexpr std::uint64_t window = std::uint64_t{32} << 10;

  const std::byte* data_ = nullptr;
  std::uint64_t size_ = 0;
  std::uint64_t inode_ = 0;
  std::uint64_t device_ = 0;
  mutable std::vector<bool> prepared_;        ///< by window of the file
  mutable const ElfSection* last_ = nullptr;  ///< that section_at has found
  bool relocatable_ = false;
  bool symbols_read_ = false;
  bool relocations_read_ = false;

  std::span<const std::byte> build_id_;
  std::vector<ElfSection> sections_;
  std::vector<std::optional<SectionKind>> kinds_;  ///< by number in the file
  const ElfSection* frame_header_ = nullptr;
  std::uint64_t relro_begin_ = 0;
  std::uint64_t relro_end_ = 0;
  std::uint64_t tls_block_size_ = 0;
  std::uint64_t tls_image_address_ = 0;

  // In the file.
  Range symbols_;
  Range names_;
  Range dynamic_symbols_;
  Range dynamic_names_;
  Range gnu_hash_;
  std::vector<Range> rela_;
  std::vector<Range> relr_;

  std::unique_ptr<Tables> tables_;
  std::optional<std::vector<std::pair<std::uint64_t, std::uint64_t>>> frame_index_;
};

}  // namespace hoist::detail::program
