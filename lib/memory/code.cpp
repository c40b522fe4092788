// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/code.hpp>
#include <hoist/detail/hasher.hpp>

#include <elf.h>
#include <link.h>

#include <cstring>
#include <string>

namespace hoist {

namespace {

struct Search {
  std::uintptr_t address;
  std::string identity;
};

/// The build-id of the module that contains the address.
int look_at(dl_phdr_info* info, std::size_t, void* raw) {
  auto& search = *static_cast<Search*>(raw);
  bool inside = false;
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const auto& segment = info->dlpi_phdr[i];
    const std::uintptr_t start = info->dlpi_addr + segment.p_vaddr;
    inside = inside || (segment.p_type == PT_LOAD && search.address >= start &&
                        search.address - start < segment.p_memsz);
  }
  if (!inside) return 0;
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const auto& segment = info->dlpi_phdr[i];
    if (segment.p_type != PT_NOTE) continue;
    const auto* at = reinterpret_cast<const char*>(info->dlpi_addr + segment.p_vaddr);
    const char* end = at + segment.p_memsz;
    while (end - at >= static_cast<std::ptrdiff_t>(sizeof(ElfW(Nhdr)))) {
      ElfW(Nhdr) note;
      std::memcpy(&note, at, sizeof note);
      const char* name = at + sizeof note;
      const char* content = name + ((note.n_namesz + 3) & ~3U);
      if (note.n_type == NT_GNU_BUILD_ID && std::memcmp(name, "GNU", 4) == 0) {
        search.identity.assign(content, note.n_descsz);
        return 1;
      }
      at = content + ((note.n_descsz + 3) & ~3U);
    }
  }
  return 1;
}

}  // namespace

Digest fingerprint_code(const void* function, CodeCheck check) {
  Search search{reinterpret_cast<std::uintptr_t>(function), {}};
  if (check != CodeCheck::none) ::dl_iterate_phdr(look_at, &search);
  return detail::hash_bytes(search.identity.data(), search.identity.size());
}

}  // namespace hoist
