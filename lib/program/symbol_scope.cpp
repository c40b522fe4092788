// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/error.hpp>

#include <elf.h>

#include <map>
#include <vector>

#include "fingerprint/code_symbol.hpp"
#include "os/file.hpp"

namespace hoist::detail {

namespace {

template <class T>
std::vector<T> read_array(int fd, std::uint64_t offset, std::uint64_t count,
                          const std::string& path) {
  constexpr std::uint64_t most = (std::uint64_t{1} << 30) / sizeof(T);
  std::vector<T> result(static_cast<std::size_t>(count > most ? 0 : count));
  const std::size_t bytes = result.size() * sizeof(T);
  if (os::read_at(fd, reinterpret_cast<std::byte*>(result.data()), bytes, offset, path) != bytes) {
    result.clear();
  }
  return result;
}

}  // namespace

/// Local symbols come behind an STT_FILE symbol with the base name of their source. Two sources of
/// equal base name can each have a local function of one name: the how-manieth it is tells these.
std::string symbol_scope(const std::string& path, std::uint64_t address, std::string& name) try {
  const os::Fd fd = os::open_for_reading(path);
  const auto header = read_array<Elf64_Ehdr>(fd.get(), 0, 1, path);
  if (header.empty() || header[0].e_shentsize != sizeof(Elf64_Shdr)) return {};
  const auto sections =
      read_array<Elf64_Shdr>(fd.get(), header[0].e_shoff, header[0].e_shnum, path);
  for (const Elf64_Shdr& section : sections) {
    if (section.sh_type != SHT_SYMTAB || section.sh_link >= sections.size()) continue;
    const auto symbols = read_array<Elf64_Sym>(fd.get(), section.sh_offset,
                                               section.sh_size / sizeof(Elf64_Sym), path);
    const Elf64_Shdr& texts = sections[section.sh_link];
    auto names = read_array<char>(fd.get(), texts.sh_offset, texts.sh_size, path);
    names.push_back('\0');
    const auto text = [&](const Elf64_Sym& symbol) {
      return std::string(symbol.st_name < names.size() ? names.data() + symbol.st_name : "");
    };
    const Elf64_Sym* found = nullptr;
    for (const Elf64_Sym& symbol : symbols) {
      if (ELF64_ST_TYPE(symbol.st_info) != STT_FUNC || symbol.st_value != address) continue;
      if (!name.empty() && text(symbol) != name) continue;
      found = &symbol;
      break;
    }
    if (found == nullptr) return {};
    name = text(*found);
    if (ELF64_ST_BIND(found->st_info) != STB_LOCAL) return {};
    std::string file;
    std::map<std::string, int> seen;
    for (const Elf64_Sym* symbol = symbols.data(); symbol <= found; ++symbol) {
      if (ELF64_ST_TYPE(symbol->st_info) == STT_FILE) file = text(*symbol);
      if (ELF64_ST_TYPE(symbol->st_info) == STT_FUNC && text(*symbol) == name) ++seen[file];
    }
    return file + "#" + std::to_string(seen[file]);
  }
  return {};
} catch (const Error&) {
  return {};  // gone, or not readable: then the symbol has no scope
}

}  // namespace hoist::detail
