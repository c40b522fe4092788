// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/backend.hpp>
#include <hoist/error.hpp>

#include <map>
#include <mutex>
#include <utility>

#include "backends/builtin.hpp"
#include "os/fork_hook.hpp"

namespace hoist {

namespace {

struct Entry {
  std::function<std::shared_ptr<Backend>()> factory;
  std::shared_ptr<Backend> backend;
};

struct Registry {
  std::mutex mutex;
  std::map<std::string, Entry, std::less<>> entries;
  detail::os::ForkHook fork_hook{mutex};
};

Registry& registry() {
  // Never destroyed: loops may run in destructors of static objects.
  static Registry& all = *[] {
    auto* made = new Registry;
    for (const auto& builtin : detail::backends::builtin_backends()) {
      made->entries[std::string(builtin.name)].factory = builtin.make;
    }
    return made;
  }();
  return all;
}

/// By what other names backends are known: joblib's, and what `local` workers are on one machine.
std::string_view without_alias(std::string_view name) {
  constexpr std::pair<std::string_view, std::string_view> aliases[] = {{"loky", "spawn"},
                                                                       {"threading", "threads"},
                                                                       {"multiprocessing", "fork"},
                                                                       {"local", "threads"}};
  for (const auto& [alias, meant] : aliases) {
    if (name == alias) return meant;
  }
  return name;
}

}  // namespace

void register_backend(std::string name, std::function<std::shared_ptr<Backend>()> factory) {
  if (name.empty()) throw BadArgument("register_backend: the name is empty; give the backend one");
  if (!factory) throw BadArgument("register_backend: the factory of \"" + name + "\" is empty");
  Registry& all = registry();
  const std::lock_guard lock(all.mutex);
  if (all.entries.contains(without_alias(name))) {
    throw BadArgument("register_backend: there is a backend called \"" + name +
                      "\" already; choose another name");
  }
  all.entries[std::move(name)] = {std::move(factory), nullptr};
}

std::vector<std::string> backend_names() {
  Registry& all = registry();
  const std::lock_guard lock(all.mutex);
  std::vector<std::string> names;
  for (const auto& [name, entry] : all.entries) names.push_back(name);
  return names;
}

std::shared_ptr<Backend> find_backend(std::string_view name) {
  Registry& all = registry();
  std::shared_ptr<Backend> made;
  std::unique_lock lock(all.mutex);
  const auto found = all.entries.find(without_alias(name));
  if (found == all.entries.end()) {
    std::string known;
    for (const auto& [other, entry] : all.entries) {
      known += (known.empty() ? "" : ", ") + other;
    }
    throw BadArgument("no backend is called \"" + std::string(name) + "\"; there are " + known);
  }
  Entry& entry = found->second;
  if (entry.backend) return entry.backend;
  // Not under the lock, since a factory may do anything. Of two backends made at once, one is kept.
  const auto factory = entry.factory;
  lock.unlock();
  made = factory();
  if (!made) {
    throw BadArgument("the factory of the backend \"" + std::string(name) + "\" made none");
  }
  lock.lock();
  if (!entry.backend) entry.backend = std::move(made);
  return entry.backend;
}

}  // namespace hoist
