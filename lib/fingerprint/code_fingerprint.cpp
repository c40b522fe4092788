// SPDX-License-Identifier: BSD-3-Clause
#include "fingerprint/code_fingerprint.hpp"

#include <cstddef>
#include <mutex>
#include <unordered_map>
#include <utility>

#include "fingerprint/code_symbol.hpp"
#include "fingerprint/code_walk.hpp"
#include "os/fork_hook.hpp"
#include "program/module_map.hpp"

namespace hoist {

namespace detail::fingerprint {

namespace {

/// The process's modules and what was computed of them.
struct Fingerprints {
  struct Key {
    const void* function;
    CodeCheck check;
    friend bool operator==(const Key&, const Key&) = default;
  };
  struct KeyHash {
    std::size_t operator()(const Key& key) const {
      return reinterpret_cast<std::size_t>(key.function) * 4 + static_cast<std::size_t>(key.check);
    }
  };

  // Mutexes aren't fair: who waits for `mutex` holds `turn`, so that a thread that computes again
  // and again can't keep a fork out.
  std::mutex turn;
  std::mutex mutex;
  program::ModuleMap modules;
  std::unordered_map<Key, CodeFingerprint, KeyHash> known;
  std::unordered_map<const void*, CodeSymbol> symbols;

  std::unique_lock<std::mutex> exclusive() {
    const std::lock_guard next(turn);
    return std::unique_lock(mutex);
  }
  /// Both mutexes, for forks.
  void lock() {
    turn.lock();
    mutex.lock();
  }
  bool try_lock() { return std::try_lock(turn, mutex) == -1; }
  void unlock() {
    mutex.unlock();
    turn.unlock();
  }

  /// Forgets what it knows of addresses that may mean something else by now.
  void refresh() {
    if (!modules.refresh()) return;
    known.clear();
    symbols.clear();
  }

  os::ForkHook fork_hook{*this};
};

Fingerprints& fingerprints() {
  // Never destroyed: functions are cached from destructors of static objects too.
  static Fingerprints* const instance = new Fingerprints;
  return *instance;
}

}  // namespace

CodeFingerprint fingerprint_code(const void* function, CodeCheck check) {
  if (check == CodeCheck::none) return {};
  Fingerprints& all = fingerprints();
  const auto lock = all.exclusive();
  all.refresh();
  const auto [place, is_new] = all.known.try_emplace({function, check});
  if (is_new) {
    CodeWalk walk(all.modules, check);
    walk.run(function);
    CodeReport report = walk.report(false);
    place->second = {
        .digest = report.digest, .exact = report.exact, .note = std::move(report.note)};
  }
  return place->second;
}

}  // namespace detail::fingerprint

namespace detail {

CodeReport explain_code(const void* function, CodeCheck check) {
  if (check == CodeCheck::none) return {};
  fingerprint::Fingerprints& all = fingerprint::fingerprints();
  const auto lock = all.exclusive();
  all.refresh();
  fingerprint::CodeWalk walk(all.modules, check);
  walk.run(function);
  return walk.report(true);
}

}  // namespace detail

namespace detail::fingerprint {

CodeSymbol code_symbol(const void* function) {
  Fingerprints& all = fingerprints();
  const auto lock = all.exclusive();
  all.refresh();
  const auto [place, is_new] = all.symbols.try_emplace(function);
  CodeSymbol& symbol = place->second;
  const program::Location location = is_new ? all.modules.locate(function) : program::Location{};
  if (location.module == nullptr) return symbol;
  program::Module& module = *location.module;
  symbol.module = module.file_name();
  program::ElfImage* const image = module.image();
  if (image != nullptr) {
    const program::ElfSymbol* const found = image->function_at(location.address);
    if (found != nullptr && found->address == location.address)
      symbol.name = image->name_of(*found);
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

}  // namespace detail::fingerprint

std::string CodeReport::text() const {
  const auto word = [](CodeNode::Kind kind) {
    switch (kind) {
      case CodeNode::Kind::function: return "function";
      case CodeNode::Kind::vtable: return "vtable  ";
      case CodeNode::Kind::constant: return "constant";
      case CodeNode::Kind::variable: return "variable";
      case CodeNode::Kind::external: return "external";
      case CodeNode::Kind::module: return "module  ";
    }
    return "";
  };
  std::string result = "code " + digest.hex() + (exact ? "" : " (not exact)") + "\n";
  if (!note.empty()) result += "note: " + note + "\n";
  for (const CodeNode& node : nodes) {
    result += word(node.kind);
    result += "  " + node.digest.hex().substr(0, 12) + "  ";
    std::string size = std::to_string(node.size);
    result += std::string(size.size() < 7 ? 7 - size.size() : 0, ' ') + size + "  " + node.name;
    if (!node.module.empty()) result += "  [" + node.module + "]";
    result += "\n";
  }
  return result;
}

}  // namespace hoist
