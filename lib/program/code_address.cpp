// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/detail/code_address.hpp>
#include <hoist/error.hpp>

#include <dlfcn.h>
#include <link.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "os/fork_hook.hpp"
#include "program/module_map.hpp"
#include "program/place_of.hpp"

namespace hoist::detail {

namespace {

ModuleName name_of(const program::Module& module) {
  const auto* const id = reinterpret_cast<const char*>(module.build_id.data());
  return {.path = module.is_main ? std::string() : module.path,
          .build_id = std::string(id, module.build_id.size())};
}

struct PeerModule {
  std::uintptr_t base = 0;
  std::string failure;
};

/// What this process and its peer call each other's modules.
struct Names {
  /// Held while nothing is called that may call back: not the dynamic linker, nor through it the
  /// initialisers of a library.
  std::mutex mutex;
  /// A module gets its number when an address in it is first asked for, and keeps it when it is
  /// unloaded: peers know modules by number, and load only those they need. The program is first.
  std::vector<ModuleName> own;
  std::vector<PeerModule> peer;
};

/// How many are in Names::own: asked for with each message.
constinit std::atomic<std::size_t> own_modules{1};

Names& names() {
  // Never destroyed: destructors of static objects ask too.
  static Names* const instance = [] {
    auto* created = new Names;
    created->own.push_back(name_of(*program::loaded_modules()->modules().front()));
    os::ForkHook::keep(created->mutex);
    return created;
  }();
  return *instance;
}

CodeAddress address_in(const program::Location& location) {
  const ModuleName name = name_of(*location.module);
  auto& own = names().own;
  const std::lock_guard lock(names().mutex);
  const auto known = std::find_if(own.begin(), own.end(), [&](const ModuleName& other) {
    return other.path == name.path && other.build_id == name.build_id;
  });
  const auto number = static_cast<std::uint64_t>(known - own.begin());
  if (known == own.end()) {
    own.push_back(name);
    own_modules.store(own.size(), std::memory_order_release);
  }
  return {.module = number, .offset = location.address};
}

/// The loaded module of that path, or null; an empty path is the program.
const program::Module* find_loaded(const program::ModuleMap& map, const std::string& path) {
  for (const auto& module : map.modules()) {
    if (path.empty() ? module->is_main : !module->is_main && module->path == path) {
      return module.get();
    }
  }
  return nullptr;
}

PeerModule load_peer(const ModuleName& name) {
  auto map = program::loaded_modules();
  const program::Module* module = find_loaded(*map, name.path);
  if (module == nullptr) {
    // Stays loaded: code in it may be running for as long as the process lives. Lazily: outside of
    // tasks it may call functions of a program that isn't there.
    void* const handle = ::dlopen(name.path.c_str(), RTLD_LAZY | RTLD_LOCAL);
    if (handle == nullptr) {
      const char* reason = ::dlerror();
      return {0, "can't load \"" + name.path + "\" there: " + (reason != nullptr ? reason : "?")};
    }
    // It may have been loaded by another name.
    link_map* linked = nullptr;
    ::dlinfo(handle, RTLD_DI_LINKMAP, static_cast<void*>(&linked));
    map = program::loaded_modules();
    module = map->locate(linked->l_ld).module;
    if (module == nullptr) return {0, "\"" + name.path + "\" is not loaded there"};
  }
  if (name_of(*module).build_id != name.build_id) {
    return {0, (name.path.empty() ? std::string("the program") : "\"" + name.path + "\"") +
                   " was built anew since it was started here: its functions lie elsewhere"};
  }
  return {module->bias, {}};
}

}  // namespace

CodeAddress code_address_of(const void* address) {
  // Loops ask for one function over and over.
  struct Last {
    const void* address = nullptr;
    os::LoadCounts counts;
    CodeAddress where;
  };
  thread_local Last last;
  if (last.address == address && address != nullptr && last.counts == os::load_counts()) {
    return last.where;
  }
  const auto map = program::loaded_modules();
  const program::Location location = map->locate(address);
  if (location.module == nullptr) {
    throw CannotTravel(
        "a function pointer points into no loaded program file: code made at run "
        "time (or a null pointer) can't be called in another process");
  }
  last = {.address = address, .counts = map->counts(), .where = address_in(location)};
  return last.where;
}

const void* resolve_code(CodeAddress address) {
  ModuleName name;
  {
    const std::lock_guard lock(names().mutex);
    if (!names().peer.empty()) {
      if (address.module >= names().peer.size()) {
        throw CannotTravel("a function of a module that was not announced");
      }
      const PeerModule& module = names().peer[address.module];
      if (!module.failure.empty()) throw CannotTravel(module.failure);
      return reinterpret_cast<const void*>(module.base + address.offset);
    }
    if (address.module >= names().own.size()) throw CannotTravel("a function of no known module");
    name = names().own[address.module];
  }
  const auto map = program::loaded_modules();
  const program::Module* const module = find_loaded(*map, name.path);
  if (module == nullptr || name_of(*module).build_id != name.build_id) {
    throw CannotTravel("a function of \"" + name.path + "\", which was unloaded");
  }
  return reinterpret_cast<const void*>(module->bias + address.offset);
}

const void* resolve_code(const ModuleName& name, std::uint64_t offset) {
  const PeerModule module = load_peer(name);
  if (!module.failure.empty()) throw CannotTravel(module.failure);
  return reinterpret_cast<const void*>(module.base + offset);
}

std::size_t module_count() noexcept { return own_modules.load(std::memory_order_acquire); }

ModuleName module_name(std::size_t number) {
  const std::lock_guard lock(names().mutex);
  return names().own.at(number);
}

namespace {

void add_peer(PeerModule module) {
  const std::lock_guard lock(names().mutex);
  names().peer.push_back(std::move(module));
}

}  // namespace

void add_peer_module(const ModuleName& name) { add_peer(load_peer(name)); }

void add_missing_peer_module(std::string reason) { add_peer({0, std::move(reason)}); }

std::size_t peer_module_count() {
  const std::lock_guard lock(names().mutex);
  return names().peer.size();
}

program::Place program::place_of(std::uintptr_t address, CodeAddress& code) {
  const auto map = loaded_modules();
  const Location location = map->locate(reinterpret_cast<const void*>(address));
  if (location.module == nullptr) return Place::elsewhere;
  if (location.module->is_variable(location.address)) return Place::variable;
  code = address_in(location);
  return Place::constant;
}

}  // namespace hoist::detail
