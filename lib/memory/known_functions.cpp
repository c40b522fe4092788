// SPDX-License-Identifier: BSD-3-Clause
#include "memory/known_functions.hpp"

#include <algorithm>
#include <mutex>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "fingerprint/code_fingerprint.hpp"
#include "os/fork_hook.hpp"
#include "program/code_symbol.hpp"

namespace hoist::detail::memory {

namespace {

struct KnownTable {
  std::mutex mutex;
  std::unordered_multimap<std::string_view, const KnownFunction*> by_function;
  os::ForkHook fork_hook{mutex};
};

KnownTable& known_functions() {
  // Never destroyed: functions are cached and called while the process ends.
  static auto* const known = new KnownTable;
  return *known;
}

bool is_unchanged(const CacheDependency& dependency) {
  {
    KnownTable& all = known_functions();
    const std::lock_guard lock(all.mutex);
    const auto [first, last] = all.by_function.equal_range(dependency.function);
    if (first != last) {
      return std::any_of(first, last, [&](const auto& one) {
        const KnownFunction& known = *one.second;
        return known.version == dependency.version &&
               fingerprint::digest_values(known.variables) == dependency.variables;
      });
    }
  }
  if (dependency.module.empty()) return true;
  const void* const code = program::find_code({.name = dependency.symbol,
                                               .module = dependency.module,
                                               .scope = dependency.scope,
                                               .build = {}});
  if (code == nullptr) return false;
  const fingerprint::CodeFingerprint now =
      fingerprint::fingerprint_code(code, static_cast<CodeCheck>(dependency.check));
  return now.digest.hex() == dependency.version &&
         fingerprint::digest_values(now.variables) == dependency.variables;
}

}  // namespace

KnownFunction::KnownFunction(std::string function_name, std::string its_version,
                             std::vector<fingerprint::VariableBytes> its_variables)
    : function(std::move(function_name)),
      version(std::move(its_version)),
      variables(std::move(its_variables)) {
  KnownTable& all = known_functions();
  const std::lock_guard lock(all.mutex);
  all.by_function.emplace(function, this);
}

KnownFunction::~KnownFunction() {
  KnownTable& all = known_functions();
  const std::lock_guard lock(all.mutex);
  const auto [first, last] = all.by_function.equal_range(function);
  all.by_function.erase(
      std::find_if(first, last, [this](const auto& one) { return one.second == this; }));
}

const CacheDependency* find_changed(const std::vector<CacheDependency>& dependencies) {
  const auto changed = std::find_if_not(dependencies.begin(), dependencies.end(), is_unchanged);
  return changed == dependencies.end() ? nullptr : &*changed;
}

}  // namespace hoist::detail::memory
