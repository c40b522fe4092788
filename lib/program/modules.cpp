// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/detail/code_address.hpp>
#include <hoist/error.hpp>

#include <cxxabi.h>
#include <dlfcn.h>
#include <elf.h>
#include <link.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <vector>

#include "program/modules.hpp"

namespace hoist::detail {

namespace {

constexpr auto unnumbered = static_cast<std::size_t>(-1);

struct Module {
  std::string path;
  std::string build_id;
  std::uintptr_t base = 0;
  bool loaded = true;
  std::size_t number = unnumbered;
};

struct Range {
  std::uintptr_t begin = 0;
  std::uintptr_t end = 0;
  std::size_t module = 0;
  bool writable = false;
};

std::string build_id_in(const char* note, std::size_t bytes) {
  const char* const end = note + bytes;
  while (static_cast<std::size_t>(end - note) >= sizeof(ElfW(Nhdr))) {
    ElfW(Nhdr) header;
    std::memcpy(&header, note, sizeof header);
    const char* name = note + sizeof header;
    const char* text = name + (header.n_namesz + 3) / 4 * 4;
    if (text + header.n_descsz > end) break;
    if (header.n_type == NT_GNU_BUILD_ID && header.n_namesz == 4 &&
        std::memcmp(name, "GNU", 4) == 0) {
      return {text, header.n_descsz};
    }
    note = text + (header.n_descsz + 3) / 4 * 4;
  }
  return {};
}

/// Counts how often a module came or went.
unsigned long long changes_now() {
  unsigned long long changes = 0;
  ::dl_iterate_phdr(
      [](dl_phdr_info* info, std::size_t, void* to) {
        *static_cast<unsigned long long*>(to) = info->dlpi_adds + info->dlpi_subs;
        return 1;
      },
      &changes);
  return changes;
}

/// What this process has loaded. A module gets its number when an address in it is first asked for,
/// and keeps it when it is unloaded: peers know modules by number, and load only those they need.
class Modules {
 public:
  std::mutex mutex;

  /// Looks again where modules came or went since the last time.
  void refresh() {
    const auto changes = changes_now();
    if (changes == changes_ && !ranges_.empty()) return;
    changes_ = changes;
    ranges_.clear();
    for (auto& module : modules_) module.loaded = false;
    ::dl_iterate_phdr(
        [](dl_phdr_info* info, std::size_t, void* self) {
          static_cast<Modules*>(self)->add(*info);
          return 0;
        },
        this);
    // Narrow ranges first: the read-only part of a writable segment comes before the segment.
    std::sort(ranges_.begin(), ranges_.end(),
              [](const Range& a, const Range& b) { return a.end - a.begin < b.end - b.begin; });
  }

  const Range* find(std::uintptr_t address) const {
    for (const Range& range : ranges_) {
      if (address >= range.begin && address < range.end) return &range;
    }
    return nullptr;
  }

  const std::vector<Module>& all() const { return modules_; }
  unsigned long long changes() const { return changes_; }

  CodeAddress address_in(const Range& range, std::uintptr_t address) {
    Module& module = modules_[range.module];
    if (module.number == unnumbered) {
      module.number = numbered_.size();
      numbered_.push_back(range.module);
      count_.store(numbered_.size(), std::memory_order_release);
    }
    return {module.number, address - module.base};
  }
  std::size_t numbered() const { return count_.load(std::memory_order_acquire); }
  const Module& by_number(std::size_t number) const { return modules_.at(numbered_.at(number)); }

 private:
  void add(const dl_phdr_info& info) {
    const std::string path = info.dlpi_name;
    std::string build_id;
    for (std::size_t i = 0; i < info.dlpi_phnum; ++i) {
      const auto& part = info.dlpi_phdr[i];
      if (part.p_type == PT_NOTE && build_id.empty()) {
        build_id =
            build_id_in(reinterpret_cast<const char*>(info.dlpi_addr + part.p_vaddr), part.p_memsz);
      }
    }
    auto at = std::find_if(modules_.begin(), modules_.end(), [&](const Module& module) {
      return !module.loaded && module.path == path && module.build_id == build_id;
    });
    if (at == modules_.end()) {
      at = modules_.insert(at, {path, build_id, 0, true, unnumbered});
      if (numbered_.empty()) {  // the main program comes first
        at->number = 0;
        numbered_.push_back(0);
        count_.store(1, std::memory_order_release);
      }
    }
    at->base = info.dlpi_addr;
    at->loaded = true;
    const auto number = static_cast<std::size_t>(at - modules_.begin());
    for (std::size_t i = 0; i < info.dlpi_phnum; ++i) {
      const auto& part = info.dlpi_phdr[i];
      if (part.p_type != PT_LOAD && part.p_type != PT_GNU_RELRO) continue;
      const std::uintptr_t begin = info.dlpi_addr + part.p_vaddr;
      const bool writable = part.p_type == PT_LOAD && (part.p_flags & PF_W) != 0;
      ranges_.push_back({begin, begin + part.p_memsz, number, writable});
    }
  }

  unsigned long long changes_ = 0;
  std::vector<Module> modules_;
  std::vector<std::size_t> numbered_;
  std::atomic<std::size_t> count_{0};  // of numbered_, for those without the lock
  std::vector<Range> ranges_;
};

Modules& modules() {
  static auto* const instance = new Modules;  // outlives every static object that may ask
  return *instance;
}

struct PeerModule {
  std::uintptr_t base = 0;
  std::string failure;
};

struct Peer {
  std::mutex mutex;
  std::vector<PeerModule> modules;
};

Peer& peer() {
  static auto* const instance = new Peer;
  return *instance;
}

PeerModule load_peer(const ModuleName& name) {
  const auto find = [&]() -> const Module* {
    modules().refresh();
    for (const Module& module : modules().all()) {
      if (module.loaded && module.path == name.path) return &module;
    }
    return nullptr;
  };
  const std::lock_guard lock(modules().mutex);
  const Module* module = find();
  if (module == nullptr) {
    // Stays loaded: code in it may be running for as long as the process lives.
    if (::dlopen(name.path.c_str(), RTLD_NOW | RTLD_LOCAL) == nullptr) {
      const char* reason = ::dlerror();
      return {0, "can't load \"" + name.path + "\" there: " + (reason != nullptr ? reason : "?")};
    }
    module = find();
    if (module == nullptr) return {0, "\"" + name.path + "\" is loaded under another name there"};
  }
  if (module->build_id != name.build_id) {
    return {0, (name.path.empty() ? std::string("the program") : "\"" + name.path + "\"") +
                   " was built anew since it was started here: its functions lie elsewhere"};
  }
  return {module->base, {}};
}

}  // namespace

CodeAddress code_address_of(const void* address) {
  // Loops ask for one function over and over.
  struct Last {
    const void* address = nullptr;
    unsigned long long changes = 0;
    CodeAddress where;
  };
  thread_local Last last;
  if (last.address == address && address != nullptr && last.changes == changes_now()) {
    return last.where;
  }
  const std::lock_guard lock(modules().mutex);
  modules().refresh();
  const Range* range = modules().find(reinterpret_cast<std::uintptr_t>(address));
  if (range == nullptr) {
    throw CannotTravel(
        "a function pointer points into no loaded program file: code made at run "
        "time (or a null pointer) can't be called in another process");
  }
  last = {address, modules().changes(),
          modules().address_in(*range, reinterpret_cast<std::uintptr_t>(address))};
  return last.where;
}

const void* resolve_code(CodeAddress address) {
  {
    const std::lock_guard lock(peer().mutex);
    if (!peer().modules.empty()) {
      if (address.module >= peer().modules.size()) {
        throw CannotTravel("a function of a module that was not announced");
      }
      const PeerModule& module = peer().modules[address.module];
      if (!module.failure.empty()) throw CannotTravel(module.failure);
      return reinterpret_cast<const void*>(module.base + address.offset);
    }
  }
  const std::lock_guard lock(modules().mutex);
  modules().refresh();
  if (address.module >= modules().numbered()) throw CannotTravel("a function of no known module");
  return reinterpret_cast<const void*>(modules().by_number(address.module).base + address.offset);
}

std::size_t module_count() {
  if (const std::size_t count = modules().numbered()) return count;
  const std::lock_guard lock(modules().mutex);
  modules().refresh();
  return modules().numbered();
}

ModuleName module_name(std::size_t number) {
  const std::lock_guard lock(modules().mutex);
  modules().refresh();
  const Module& module = modules().by_number(number);
  return {module.path, module.build_id};
}

void add_peer_module(const ModuleName& name) {
  PeerModule loaded = load_peer(name);
  const std::lock_guard lock(peer().mutex);
  peer().modules.push_back(std::move(loaded));
}

std::size_t peer_module_count() {
  const std::lock_guard lock(peer().mutex);
  return peer().modules.size();
}

program::Place place_of(std::uintptr_t address, CodeAddress& code) {
  const std::lock_guard lock(modules().mutex);
  modules().refresh();
  const Range* range = modules().find(address);
  if (range == nullptr) return program::Place::elsewhere;
  if (range->writable) return program::Place::variable;
  code = modules().address_in(*range, address);
  return program::Place::constant;
}

std::string readable_type(const std::type_info& type) {
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> text(
      abi::__cxa_demangle(type.name(), nullptr, nullptr, &status), &std::free);
  std::string name = status == 0 && text != nullptr ? text.get() : type.name();
  constexpr std::string_view string =
      "std::__cxx11::basic_string<char, std::char_traits<char>, std::allocator<char> >";
  for (auto at = name.find(string); at != std::string::npos; at = name.find(string, at)) {
    name.replace(at, string.size(), "std::string");
  }
  return name;
}

}  // namespace hoist::detail
