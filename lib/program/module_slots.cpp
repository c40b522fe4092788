// SPDX-License-Identifier: BSD-3-Clause
//
// ModuleMap: what the dynamic linker puts into slots.
#include <elf.h>

#include <cstring>

#include "program/module_map.hpp"

namespace hoist::detail::program {

namespace {

bool is_slot_of_got(std::uint32_t type) {
  return type == R_X86_64_JUMP_SLOT || type == R_X86_64_GLOB_DAT;
}

}  // namespace

SlotTarget ModuleMap::slot(Module& module, std::uint64_t address) const {
  ElfImage* image = module.image();
  if (image == nullptr) return {};
  const auto relocations = image->relocations(address, address + 1);
  if (!relocations.empty()) return target(module, relocations.front());
  const auto value = image->word(address);
  if (image->is_relocatable() || !value || !module.contains(*value)) return {};
  return {.kind = SlotTarget::Kind::location, .location = {&module, *value}, .name = {}};
}

SlotTarget ModuleMap::target(Module& module, const ElfRelocation& relocation) const {
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
                         const ElfRelocation& relocation) const {
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
      if (bound.module->origin() != ModuleOrigin::user) return bound;
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

Location ModuleMap::copy_source(const Module& module, std::string_view name) const {
  for (const auto& candidate : modules_) {
    if (candidate.get() == &module || candidate->image() == nullptr) continue;
    if (const auto found = candidate->image()->find_dynamic(name)) {
      return {candidate.get(), found->address};
    }
  }
  return {};
}

}  // namespace hoist::detail::program
