// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/backend.hpp>
#include <hoist/error.hpp>

#include <map>
#include <mutex>
#include <utility>

#include "backends/builtin.hpp"

namespace hoist {

namespace {

struct Entry {
  std::function<std::unique_ptr<Backend>()> factory;
  std::unique_ptr<Backend> backend;
};

class Registry {
 public:
  static Registry& instance() {
    static Registry registry;
    return registry;
  }

  void add(std::string name, std::function<std::unique_ptr<Backend>()> factory) {
    if (name.empty() || !factory) throw BadArgument("a backend needs a name and a factory");
    const std::lock_guard lock(mutex_);
    if (!entries_.try_emplace(name, Entry{std::move(factory), nullptr}).second) {
      throw BadArgument("a backend called \"" + name + "\" is registered already");
    }
  }

  Backend& find(std::string_view name) {
    const std::lock_guard lock(mutex_);
    const auto entry = entries_.find(name);
    if (entry == entries_.end()) {
      std::string known;
      for (const auto& other : entries_) known += (known.empty() ? "" : ", ") + other.first;
      throw BadArgument("no backend is called \"" + std::string(name) + "\"; there are " + known);
    }
    auto& backend = entry->second.backend;
    if (!backend) backend = entry->second.factory();
    if (!backend) throw BadArgument("the factory of backend \"" + std::string(name) + "\" made none");
    return *backend;
  }

 private:
  Registry() {
    entries_["sequential"].factory = detail::make_sequential_backend;
    entries_["threads"].factory = detail::make_threads_backend;
  }

  std::mutex mutex_;
  std::map<std::string, Entry, std::less<>> entries_;
};

}  // namespace

Loop::~Loop() = default;
Backend::~Backend() = default;

void register_backend(std::string name, std::function<std::unique_ptr<Backend>()> factory) {
  Registry::instance().add(std::move(name), std::move(factory));
}

namespace detail {

Backend& find_backend(std::string_view name) { return Registry::instance().find(name); }

}  // namespace detail
}  // namespace hoist
