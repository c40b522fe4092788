// SPDX-License-Identifier: BSD-3-Clause
#include "program/elf_image.hpp"

#include <elf.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

namespace hoist::detail::program {

namespace {

// Not in every <elf.h>.
#if !defined(SHT_X86_64_UNWIND)
#define SHT_X86_64_UNWIND 0x70000001
#endif

bool is_metadata(const Elf64_Shdr& header, std::string_view name) {
  switch (header.sh_type) {
    case SHT_PROGBITS:
    case SHT_X86_64_UNWIND:
      return name.starts_with(".eh_frame") || name.starts_with(".gcc_except_table") ||
             name == ".interp";
    case SHT_NOBITS: return false;
    default: return true;  // notes, symbols, relocations, arrays of initialisers, ...
  }
}

SectionKind kind_of(const Elf64_Shdr& header, std::string_view name, bool relro) {
  if (is_metadata(header, name)) return SectionKind::metadata;
  if ((header.sh_flags & SHF_EXECINSTR) != 0) return SectionKind::code;
  if (name == ".got" || name == ".got.plt") return SectionKind::got;
  if ((header.sh_flags & SHF_TLS) != 0) return SectionKind::tls;
  if ((header.sh_flags & SHF_WRITE) == 0 || relro || name.starts_with(".data.rel.ro")) {
    return SectionKind::constant;
  }
  return header.sh_type == SHT_NOBITS ? SectionKind::zero : SectionKind::variable;
}

}  // namespace

std::unique_ptr<ElfImage> ElfImage::open(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return nullptr;
  struct stat status{};
  void* data = MAP_FAILED;
  if (::fstat(file, &status) == 0 && S_ISREG(status.st_mode) &&
      status.st_size >= static_cast<off_t>(sizeof(Elf64_Ehdr))) {
    data =
        ::mmap(nullptr, static_cast<std::size_t>(status.st_size), PROT_READ, MAP_PRIVATE, file, 0);
  }
  ::close(file);
  if (data == MAP_FAILED) return nullptr;

  std::unique_ptr<ElfImage> image(new ElfImage);
  image->data_ = static_cast<const std::byte*>(data);
  image->size_ = static_cast<std::uint64_t>(status.st_size);
  image->prepared_.resize(image->size_ / window + 1);
  image->inode_ = status.st_ino;
  image->device_ = status.st_dev;
  if (!image->parse()) return nullptr;
  return image;
}

ElfImage::~ElfImage() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

void ElfImage::prepare_window(std::uint64_t index) const {
  prepared_[index] = true;
  os::populate(data_ + index * window, std::min(window, size_ - index * window));
}

std::string_view ElfImage::text_at(Range table, std::uint64_t offset) const {
  if (offset >= table.size) return {};
  prepare(table.offset + offset, 1);
  const char* begin = reinterpret_cast<const char*>(data_ + table.offset + offset);
  return {begin, ::strnlen(begin, table.size - offset)};
}

bool ElfImage::parse() {
  Elf64_Ehdr header;
  if (!read(0, header) || std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
      header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB ||
      (header.e_type != ET_EXEC && header.e_type != ET_DYN) ||
      header.e_shentsize != sizeof(Elf64_Shdr) || header.e_shnum == 0) {
    return false;
  }
  relocatable_ = header.e_type == ET_DYN;
  parse_program_headers();

  std::vector<Elf64_Shdr> headers(header.e_shnum);
  for (std::size_t i = 0; i < headers.size(); ++i) {
    Elf64_Shdr& section = headers[i];
    if (!read(header.e_shoff + i * sizeof(Elf64_Shdr), section)) return false;
    // From here on the content of every section is known to be inside the file.
    const bool inside = section.sh_offset <= size_ && section.sh_size <= size_ - section.sh_offset;
    if (section.sh_type != SHT_NOBITS && section.sh_type != SHT_NULL && !inside) return false;
  }
  if (header.e_shstrndx >= headers.size()) return false;
  const auto range = [](const Elf64_Shdr& section) {
    return Range{section.sh_offset, section.sh_size};
  };
  const Range section_names = range(headers[header.e_shstrndx]);

  kinds_.assign(headers.size(), std::nullopt);
  for (std::size_t i = 0; i < headers.size(); ++i) {
    const Elf64_Shdr& section = headers[i];
    const std::string_view name = text_at(section_names, section.sh_name);
    const bool linked = section.sh_link < headers.size();
    const bool in_memory = (section.sh_flags & SHF_ALLOC) != 0;
    if (section.sh_type == SHT_SYMTAB && linked) {
      symbols_ = range(section);
      names_ = range(headers[section.sh_link]);
    } else if (section.sh_type == SHT_DYNSYM && linked) {
      dynamic_symbols_ = range(section);
      dynamic_names_ = range(headers[section.sh_link]);
    } else if (section.sh_type == SHT_GNU_HASH) {
      gnu_hash_ = range(section);
    } else if (section.sh_type == SHT_RELA && in_memory) {
      rela_.push_back(range(section));
    } else if (section.sh_type == SHT_RELR && in_memory) {
      relr_.push_back(range(section));
    }

    // .tbss takes no addresses: what follows it starts at the same one.
    const bool tbss = (section.sh_flags & SHF_TLS) != 0 && section.sh_type == SHT_NOBITS;
    if (!in_memory || tbss || section.sh_size == 0 ||
        section.sh_addr + section.sh_size < section.sh_addr) {
      continue;
    }
    const bool relro = section.sh_addr >= relro_begin_ && section.sh_addr < relro_end_;
    ElfSection entry;
    entry.name = name;
    entry.address = section.sh_addr;
    entry.size = section.sh_size;
    entry.offset = section.sh_offset;
    entry.kind = kind_of(section, name, relro);
    entry.has_content = section.sh_type != SHT_NOBITS;
    kinds_[i] = entry.kind;
    sections_.push_back(entry);
  }
  std::sort(sections_.begin(), sections_.end(),
            [](const ElfSection& a, const ElfSection& b) { return a.address < b.address; });
  frame_header_ = section_named(".eh_frame_hdr");
  return true;
}

void ElfImage::parse_program_headers() {
  Elf64_Ehdr header;
  if (!read(0, header) || header.e_phentsize != sizeof(Elf64_Phdr)) return;
  for (std::uint64_t i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr segment;
    if (!read(header.e_phoff + i * sizeof segment, segment)) return;
    if (segment.p_type == PT_GNU_RELRO) {
      relro_begin_ = segment.p_vaddr;
      relro_end_ = segment.p_vaddr + segment.p_memsz;
    } else if (segment.p_type == PT_TLS) {
      const std::uint64_t align = std::max<std::uint64_t>(segment.p_align, 1);
      tls_image_address_ = segment.p_vaddr;
      tls_block_size_ = (segment.p_memsz + align - 1) / align * align;
    } else if (segment.p_type == PT_NOTE && segment.p_offset <= size_ &&
               segment.p_filesz <= size_ - segment.p_offset) {
      prepare(segment.p_offset, segment.p_filesz);
      const auto id = find_build_id({data_ + segment.p_offset, segment.p_filesz});
      if (!id.empty()) build_id_ = id;
    }
  }
}

std::span<const std::byte> find_build_id(std::span<const std::byte> notes) {
  while (notes.size() >= sizeof(Elf64_Nhdr)) {
    Elf64_Nhdr note;
    std::memcpy(&note, notes.data(), sizeof note);
    const std::uint64_t name = sizeof note;
    const std::uint64_t content = name + ((std::uint64_t{note.n_namesz} + 3) & ~std::uint64_t{3});
    const std::uint64_t end = content + ((std::uint64_t{note.n_descsz} + 3) & ~std::uint64_t{3});
    if (content + note.n_descsz > notes.size()) break;
    if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 &&
        std::memcmp(notes.data() + name, "GNU", 4) == 0) {
      return notes.subspan(content, note.n_descsz);
    }
    notes = notes.subspan(std::min<std::uint64_t>(end, notes.size()));
  }
  return {};
}

const ElfSection* ElfImage::section_at(std::uint64_t address) const {
  if (last_ != nullptr && address - last_->address < last_->size) return last_;
  auto after = std::upper_bound(
      sections_.begin(), sections_.end(), address,
      [](std::uint64_t value, const ElfSection& section) { return value < section.address; });
  if (after == sections_.begin()) return nullptr;
  const ElfSection& section = *std::prev(after);
  if (address >= section.end()) return nullptr;
  return last_ = &section;
}

const ElfSection* ElfImage::section_named(std::string_view name) const {
  for (const ElfSection& section : sections_) {
    if (section.name == name) return &section;
  }
  return nullptr;
}

std::span<const std::byte> ElfImage::bytes(std::uint64_t address, std::uint64_t size) const {
  const auto found = bytes_from(address, size);
  return found.size() == size ? found : std::span<const std::byte>();
}

std::span<const std::byte> ElfImage::bytes_from(std::uint64_t address, std::uint64_t size) const {
  const ElfSection* section = section_at(address);
  if (section == nullptr || !section->has_content) return {};
  size = std::min(size, section->end() - address);
  const std::uint64_t offset = section->offset + (address - section->address);
  prepare(offset, size);
  return {data_ + offset, size};
}

std::optional<std::uint64_t> ElfImage::word(std::uint64_t address) const {
  const auto content = bytes(address, sizeof(std::uint64_t));
  if (content.empty()) return std::nullopt;
  std::uint64_t value;
  std::memcpy(&value, content.data(), sizeof value);
  return value;
}

std::optional<std::int32_t> ElfImage::int32(std::uint64_t address) const {
  const auto content = bytes(address, sizeof(std::int32_t));
  if (content.empty()) return std::nullopt;
  std::int32_t value;
  std::memcpy(&value, content.data(), sizeof value);
  return value;
}

}  // namespace hoist::detail::program
