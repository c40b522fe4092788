// SPDX-License-Identifier: BSD-3-Clause
#include "program/code_symbol.hpp"

#include <unordered_map>

#include "program/module_map.hpp"

namespace hoist::detail::program {

namespace {

CodeSymbol look_up(const Location& location) {
  CodeSymbol symbol;
  if (location.module == nullptr) return symbol;
  Module& module = *location.module;
  symbol.module = module.file_name();
  if (ElfImage* const image = module.image()) {
    const ElfSymbol* const found = image->function_at(location.address);
    if (found != nullptr && found->address == location.address) {
      symbol.name = image->name_of(*found);
    }
    symbol.scope = image->scope_of(location.address, symbol.name);
    if (symbol.name.empty()) {
      const auto exported = image->exported_at(location.address);
      if (exported && exported->address == location.address) symbol.name = exported->name;
    }
  }
  if (symbol.name.empty()) {
    symbol.build = module.identity() + "+" + std::to_string(location.address);
  }
  return symbol;
}

}  // namespace

CodeSymbol code_symbol(const void* function) {
  struct Known {
    unsigned long long unloaded = 0;
    std::unordered_map<const void*, CodeSymbol> symbols;
  };
  const auto map = loaded_modules();
  const auto lock = lock_images();
  // Never destroyed: functions are cached from destructors of static objects too.
  static auto* const known = new Known;
  // An address may mean something else once a module was unloaded.
  if (known->unloaded != map->counts().unloaded) {
    *known = {.unloaded = map->counts().unloaded, .symbols = {}};
  }
  const auto at = known->symbols.find(function);
  if (at != known->symbols.end()) return at->second;
  return known->symbols.emplace(function, look_up(map->locate(function))).first->second;
}

}  // namespace hoist::detail::program
