// SPDX-License-Identifier: BSD-3-Clause
#include "memory/store.hpp"

#include <hoist/error.hpp>

#include <map>
#include <mutex>
#include <vector>

#include "os/fork_hook.hpp"

namespace hoist {

StoreLock::~StoreLock() = default;
StoreWait::~StoreWait() = default;
StoreBackend::~StoreBackend() = default;

std::unique_ptr<StoredEntry> StoreBackend::peek(const std::string& name) { return get(name); }

std::unique_ptr<StoreLock> StoreBackend::try_lock(const std::string&) { return nullptr; }

std::unique_ptr<StoreWait> StoreBackend::announce_wait(const std::string&,
                                                       const std::vector<std::string>&) {
  return std::make_unique<StoreWait>();
}

StoreUsage StoreBackend::usage() {
  StoreUsage total;
  list("", [&](const StoreItem& item) {
    ++total.items;
    total.bytes += item.bytes;
  });
  return total;
}

void StoreBackend::clear(const std::string& prefix) {
  std::vector<std::string> names;
  list(prefix, [&](const StoreItem& item) { names.push_back(item.name); });
  for (const auto& name : names) remove(name);
}

namespace {

struct Registry {
  std::mutex mutex;
  std::map<std::string, StoreFactory> factories{
      {"local", [](const StoreConfig& config) { return detail::memory::make_local_store(config); }},
      {"memory", detail::memory::make_memory_store}};
  detail::os::ForkHook fork_hook{mutex};
};

Registry& registry() {
  static auto* one = new Registry;  // outlives everything that may still open a store at exit
  return *one;
}

}  // namespace

void register_store_backend(std::string name, StoreFactory factory) {
  if (name.empty() || !factory) {
    throw BadArgument("register_store_backend: a store needs a name and a factory");
  }
  const std::lock_guard lock(registry().mutex);
  registry().factories[std::move(name)] = std::move(factory);
}

namespace detail::memory {

std::unique_ptr<StoreBackend> make_store(const std::string& name, const StoreConfig& config) {
  StoreFactory factory;
  {
    const std::lock_guard lock(registry().mutex);
    const auto found = registry().factories.find(name);
    if (found == registry().factories.end()) {
      std::string known;
      for (const auto& [other, ignored] : registry().factories) {
        known += (known.empty() ? "\"" : ", \"") + other + "\"";
      }
      throw BadArgument("MemoryOptions::backend: there is no store \"" + name + "\"; known are " +
                        known + "; \"redis\" is in a library of its own, hoist::redis");
    }
    factory = found->second;
  }
  auto store = factory(config);
  if (!store) throw BadArgument("the factory of store \"" + name + "\" returned nothing");
  return store;
}

}  // namespace detail::memory
}  // namespace hoist
