// SPDX-License-Identifier: BSD-3-Clause
#include "program/module_map.hpp"

#include <elf.h>
#include <link.h>

#include <algorithm>
#include <array>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "base/digest_stream.hpp"

namespace hoist::detail::program {

namespace {

/// The run time that every C++ program has. Its interfaces are stable and its updates mend faults,
/// so a new version must not throw caches away; whoever disagrees sets `.version`.
constexpr std::array<std::string_view, 21> runtime_libraries = {
    "ld-linux",   "libanl.so",  "libasan.so", "libatomic.so", "libc++.so",   "libc++abi.so",
    "libc.so",    "libdl.so",   "libgcc_s",   "libm.so",      "libmvec.so",  "libpthread.so",
    "libresolv",  "librt.so",   "libstdc++",  "libtsan.so",   "libubsan.so", "libunwind.so",
    "libutil.so", "linux-gate", "linux-vdso"};

constexpr std::array<std::string_view, 7> system_directories = {
    "/lib/", "/lib32/", "/lib64/", "/usr/lib/", "/usr/lib32/", "/usr/lib64/", "/usr/libexec/"};

ModuleOrigin origin_of(const Module& module) {
  if (module.is_main) return ModuleOrigin::user;
  const std::string_view name = module.file_name();
  if (name.empty()) return ModuleOrigin::runtime;
  for (const std::string_view prefix : runtime_libraries) {
    if (name.starts_with(prefix)) return ModuleOrigin::runtime;
  }
  char* resolved = ::realpath(module.path.c_str(), nullptr);
  const std::string path = resolved != nullptr ? resolved : module.path;
  std::free(resolved);
  for (const std::string_view directory : system_directories) {
    if (path.starts_with(directory)) return ModuleOrigin::installed;
  }
  return ModuleOrigin::user;
}

int add_module(dl_phdr_info* info, std::size_t /*size*/, void* context) {
  auto& modules = *static_cast<std::vector<std::unique_ptr<Module>>*>(context);
  auto module = std::make_unique<Module>();
  module->is_main = modules.empty();
  module->path = module->is_main ? "/proc/self/exe" : info->dlpi_name;
  module->bias = info->dlpi_addr;
  for (unsigned i = 0; i < info->dlpi_phnum; ++i) {
    const auto& segment = info->dlpi_phdr[i];
    if (segment.p_type == PT_LOAD) {
      module->segments.push_back({.address = segment.p_vaddr,
                                  .size = segment.p_memsz,
                                  .file_size = segment.p_filesz,
                                  .writable = (segment.p_flags & PF_W) != 0,
                                  .readable = (segment.p_flags & PF_R) != 0});
    }
  }
  for (unsigned i = 0; i < info->dlpi_phnum; ++i) {
    const auto& segment = info->dlpi_phdr[i];
    if (segment.p_type != PT_NOTE || segment.p_memsz == 0 || !module->contains(segment.p_vaddr)) {
      continue;
    }
    const auto* notes = reinterpret_cast<const std::byte*>(module->bias + segment.p_vaddr);
    const auto id = find_build_id({notes, segment.p_memsz});
    if (!id.empty()) module->build_id.assign(id.begin(), id.end());
  }
  module->origin = origin_of(*module);
  modules.push_back(std::move(module));
  return 0;
}

struct LoadCounts {
  unsigned long long loaded = 0;
  unsigned long long unloaded = 0;
};

int read_counts(dl_phdr_info* info, std::size_t /*size*/, void* context) {
  *static_cast<LoadCounts*>(context) = {.loaded = info->dlpi_adds, .unloaded = info->dlpi_subs};
  return 1;
}

/// The inode of the file mapped at a run-time address, or 0.
std::uint64_t mapped_inode(std::uint64_t address) {
  std::FILE* maps = std::fopen("/proc/self/maps", "re");
  if (maps == nullptr) return 0;
  std::uint64_t found = 0;
  char line[4352];
  while (found == 0 && std::fgets(line, sizeof line, maps) != nullptr) {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
    std::uint64_t inode = 0;
    if (std::sscanf(line, "%" SCNx64 "-%" SCNx64 " %*s %*s %*s %" SCNu64, &begin, &end, &inode) ==
            3 &&
        address >= begin && address < end) {
      found = inode;
    }
  }
  std::fclose(maps);
  return found;
}

std::string hex(std::span<const std::byte> bytes) {
  constexpr char digits[] = "0123456789abcdef";
  std::string text;
  for (const std::byte byte : bytes) {
    text += digits[std::to_integer<unsigned>(byte) >> 4];
    text += digits[std::to_integer<unsigned>(byte) & 15];
  }
  return text;
}

bool is_slot_of_got(std::uint32_t type) {
  return type == R_X86_64_JUMP_SLOT || type == R_X86_64_GLOB_DAT;
}

}  // namespace

std::string_view Module::file_name() const {
  const std::string_view name = path;
  return name.substr(name.rfind('/') + 1);
}

bool Module::contains(std::uint64_t address) const {
  return std::any_of(segments.begin(), segments.end(), [&](const Segment& segment) {
    return address >= segment.address && address - segment.address < segment.size;
  });
}

ElfImage* Module::image() {
  if (!opened_) {
    opened_ = true;
    if (!path.empty()) image_ = ElfImage::open(path);
    if (image_ != nullptr && !is_same_file(*image_)) image_ = nullptr;
  }
  return image_.get();
}

bool Module::is_same_file(const ElfImage& image) const {
  // A program may be rebuilt while an old process of it runs: the path then names other code than
  // what runs here. (/proc/self/exe still is the old file, unless the program was started through
  // the dynamic linker: then it is that.)
  if (!build_id.empty() || !image.build_id().empty()) {
    return std::equal(build_id.begin(), build_id.end(), image.build_id().begin(),
                      image.build_id().end());
  }
  return !segments.empty() && mapped_inode(bias + segments.front().address) == image.inode();
}

std::string Module::identity() {
  if (!identity_.empty()) return identity_;
  if (!build_id.empty()) return identity_ = "build-id " + hex(build_id);
  // Code and constants are mapped as they are in the file, so they stand for it.
  base::DigestStream stream;
  for (const Segment& segment : segments) {
    if (segment.writable || !segment.readable) continue;
    const auto* begin = reinterpret_cast<const std::byte*>(bias + segment.address);
    stream.put(base::digest_of({begin, std::min(segment.file_size, segment.size)}));
  }
  return identity_ = "content " + stream.digest().hex();
}

bool ModuleMap::refresh() {
  LoadCounts counts;
  ::dl_iterate_phdr(read_counts, &counts);
  if (!modules_.empty() && counts.loaded == loaded_ && counts.unloaded == unloaded_) return false;

  std::vector<std::unique_ptr<Module>> now;
  ::dl_iterate_phdr(add_module, &now);
  for (auto& module : now) {
    // Keep what was read of modules that are still there.
    const auto same = std::find_if(modules_.begin(), modules_.end(), [&](const auto& known) {
      return known != nullptr && known->bias == module->bias && known->path == module->path &&
             known->build_id == module->build_id;
    });
    if (same != modules_.end() && counts.unloaded == unloaded_) module = std::move(*same);
  }
  modules_ = std::move(now);
  loaded_ = counts.loaded;
  return std::exchange(unloaded_, counts.unloaded) != counts.unloaded;
}

Location ModuleMap::locate(const void* address) {
  const auto value = reinterpret_cast<std::uint64_t>(address);
  for (const auto& module : modules_) {
    if (value >= module->bias && module->contains(value - module->bias)) {
      return {module.get(), value - module->bias};
    }
  }
  return {};
}

SlotTarget ModuleMap::slot(Module& module, std::uint64_t address) {
  ElfImage* image = module.image();
  if (image == nullptr) return {};
  const auto relocations = image->relocations(address, address + 1);
  if (!relocations.empty()) return target(module, relocations.front());
  const auto value = image->word(address);
  if (image->is_relocatable() || !value || !module.contains(*value)) return {};
  return {.kind = SlotTarget::Kind::location, .location = {&module, *value}, .name = {}};
}

SlotTarget ModuleMap::target(Module& module, const ElfRelocation& relocation) {
  using Kind = SlotTarget::Kind;
  const auto addend = static_cast<std::uint64_t>(relocation.addend);
  const DynamicSymbol symbol =
      relocation.symbol != 0 ? module.image()->dynamic_symbol(relocation.symbol) : DynamicSymbol{};
  switch (relocation.type) {
    case R_X86_64_RELATIVE:
    case R_X86_64_IRELATIVE:  // the resolver, not what it chose on this machine
      return {.kind = Kind::location, .location = {&module, addend}, .name = {}};
    case R_X86_64_64:
    case R_X86_64_GLOB_DAT:
    case R_X86_64_JUMP_SLOT: {
      const Location location = bind(module, symbol, relocation);
      return {.kind = location.module != nullptr ? Kind::location : Kind::undefined,
              .location = location,
              .name = symbol.name};
    }
    case R_X86_64_DTPMOD64:
    case R_X86_64_TPOFF64:
    case R_X86_64_TLSDESC: {
      // Without a symbol the variable is the module's own; its offset is the addend, or, for a pair
      // of slots, what the second one holds.
      std::uint64_t offset = addend;
      if (relocation.symbol == 0 && relocation.type == R_X86_64_DTPMOD64) {
        offset = module.image()->word(relocation.offset + 8).value_or(0);
      } else if (relocation.symbol != 0) {
        offset = symbol.address;
      }
      Module* const owner = relocation.symbol == 0 || symbol.defined ? &module : nullptr;
      return {.kind = Kind::tls, .location = {owner, offset}, .name = symbol.name};
    }
    default: return {};
  }
}

Location ModuleMap::bind(Module& module, const DynamicSymbol& symbol,
                         const ElfRelocation& relocation) {
  const auto addend = static_cast<std::uint64_t>(relocation.addend);
  const auto definition_in = [&](Module& candidate) -> Location {
    if (candidate.image() == nullptr) return {};
    const auto found = candidate.image()->find_dynamic(symbol.name);
    if (!found) return {};
    return {&candidate, found->address + addend};
  };
  if (is_slot_of_got(relocation.type) && module.contains(relocation.offset)) {
    std::uint64_t value = 0;
    std::memcpy(&value, reinterpret_cast<const void*>(module.bias + relocation.offset),
                sizeof value);
    const Location bound = locate(reinterpret_cast<const void*>(value));
    const ElfSection* section =
        bound.module == &module ? module.image()->section_at(bound.address) : nullptr;
    const bool unbound = section != nullptr && section->name.starts_with(".plt");
    if (bound.module != nullptr && !unbound) {
      // By name where possible: the value of an indirect function depends on the machine.
      if (bound.module->origin != ModuleOrigin::user) return bound;
      const Location named = definition_in(*bound.module);
      return named.module != nullptr ? named : bound;
    }
  }
  // Not bound yet: what the dynamic linker will find. The scope of a module loaded with RTLD_LOCAL
  // isn't visible here; looking into the module itself early makes the right choice there.
  for (const auto& candidate : modules_) {
    if (candidate->is_main) {
      if (const Location found = definition_in(*candidate); found.module != nullptr) return found;
    }
  }
  if (symbol.defined) return {&module, symbol.address + addend};
  for (const auto& candidate : modules_) {
    if (candidate->is_main || candidate.get() == &module) continue;
    if (const Location found = definition_in(*candidate); found.module != nullptr) return found;
  }
  return {};
}

Location ModuleMap::copy_source(Module& module, std::string_view name) {
  for (const auto& candidate : modules_) {
    if (candidate.get() == &module || candidate->image() == nullptr) continue;
    if (const auto found = candidate->image()->find_dynamic(name)) {
      return {candidate.get(), found->address};
    }
  }
  return {};
}

}  // namespace hoist::detail::program
