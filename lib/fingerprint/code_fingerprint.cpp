// SPDX-License-Identifier: BSD-3-Clause
#include "fingerprint/code_fingerprint.hpp"

#include <cstddef>
#include <unordered_map>
#include <utility>

#include "fingerprint/code_walk.hpp"
#include "program/module_map.hpp"

namespace hoist {

namespace detail::fingerprint {

namespace {

/// What was computed so far; only while images are locked.
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

  unsigned long long unloaded = 0;
  std::unordered_map<Key, CodeFingerprint, KeyHash> known;
  std::unordered_map<const void*, std::vector<ReadVariable>> read;
};

/// Never destroyed: functions are cached from destructors of static objects too. To be called while
/// images are locked.
Fingerprints& fingerprints(const program::ModuleMap& modules) {
  static auto* const all = new Fingerprints;
  // An address may mean something else once a module was unloaded.
  if (all->unloaded != modules.counts().unloaded) {
    *all = {.unloaded = modules.counts().unloaded, .known = {}, .read = {}};
  }
  return *all;
}

}  // namespace

CodeFingerprint fingerprint_code(const void* function, CodeCheck check) {
  if (check == CodeCheck::none) return {};
  const auto modules = program::loaded_modules();
  const auto lock = program::lock_images();
  auto& known = fingerprints(*modules).known;
  const Fingerprints::Key key{function, check};
  if (const auto place = known.find(key); place != known.end()) return place->second;
  CodeWalk walk(*modules, check);
  walk.run(function);
  CodeReport report = walk.report(false);
  return known[key] = {.digest = report.digest,
                       .exact = report.exact,
                       .variables = walk.values(),
                       .caller_by_pointer = walk.caller_by_pointer(),
                       .note = std::move(report.note)};
}

std::vector<ReadVariable> variables_read_by(const void* function) {
  const auto modules = program::loaded_modules();
  const auto lock = program::lock_images();
  auto& known = fingerprints(*modules).read;
  if (const auto place = known.find(function); place != known.end()) return place->second;
  CodeWalk walk(*modules, CodeCheck::callees);
  walk.run(function);
  return known[function] = walk.read_variables();
}

}  // namespace detail::fingerprint

namespace detail {

CodeReport explain_code(const void* function, CodeCheck check) {
  if (check == CodeCheck::none) return {};
  const auto modules = program::loaded_modules();
  const auto lock = program::lock_images();
  fingerprint::CodeWalk walk(*modules, check);
  walk.run(function);
  return walk.report(true);
}

}  // namespace detail

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
    if (!node.remark.empty()) result += "  (" + node.remark + ")";
    result += "\n";
  }
  return result;
}

}  // namespace hoist
