// SPDX-License-Identifier: BSD-3-Clause
#include "program/code_symbol.hpp"

#include <map>
#include <tuple>
#include <unordered_map>

#include "program/module_map.hpp"
#include "program/symbol_names.hpp"

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

const void* search(const ModuleMap& map, const CodeSymbol& symbol) {
  for (const auto& module : map.modules()) {
    ElfImage* const image = module->file_name() == symbol.module ? module->image() : nullptr;
    if (image == nullptr) continue;
    for (const std::uint64_t address : image->functions_named(symbol.name)) {
      if (look_up({module.get(), address}).scope == symbol.scope) {
        return reinterpret_cast<const void*>(module->bias + address);
      }
    }
  }
  return nullptr;
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

const void* find_code(const CodeSymbol& symbol) {
  struct Known {
    os::LoadCounts counts;
    std::map<std::tuple<std::string, std::string, std::string>, const void*> functions;
  };
  if (symbol.name.empty()) return nullptr;
  const auto map = loaded_modules();
  const auto lock = lock_images();
  static auto* const known = new Known;
  if (known->counts != map->counts()) *known = {map->counts(), {}};
  const auto [place, is_new] =
      known->functions.try_emplace({symbol.name, symbol.module, symbol.scope}, nullptr);
  if (is_new) place->second = search(*map, symbol);
  return place->second;
}

}  // namespace hoist::detail::program
