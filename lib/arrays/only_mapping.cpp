// SPDX-License-Identifier: BSD-3-Clause
#include "arrays/only_mapping.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <mutex>
#include <tuple>
#include <utility>

#include "os/fork_hook.hpp"

namespace hoist::detail::arrays {

namespace {

/// What is mapped in this process, by the part of a file, whose number is no other's meanwhile.
class Mappings {
 public:
  using Part = std::tuple<dev_t, ino_t, std::uint64_t, std::size_t>;

  std::shared_ptr<Storage> find_or_add(const Part& part, std::shared_ptr<Storage> storage) {
    const std::lock_guard lock(mutex_);
    auto& known = all_[part];
    if (auto there = known.lock()) return there;
    known = storage;
    // Those that are no more, now and then.
    if (all_.size() >= 2 * swept_size_) {
      std::erase_if(all_, [](const auto& one) { return one.second.expired(); });
      swept_size_ = std::max<std::size_t>(all_.size(), 32);
    }
    return storage;
  }

 private:
  std::mutex mutex_;
  std::map<Part, std::weak_ptr<Storage>> all_;
  std::size_t swept_size_ = 32;
  os::ForkHook fork_hook_{mutex_};
};

Mappings& mappings() {
  static auto* const all = new Mappings;
  return *all;
}

}  // namespace

std::shared_ptr<Storage> only_mapping(std::shared_ptr<Storage> storage) {
  const Storage::Backing backing = storage->backing();
  struct stat file{};
  if (::fstat(backing.fd, &file) != 0) return storage;
  return mappings().find_or_add({file.st_dev, file.st_ino, backing.offset, storage->bytes()},
                                storage);
}

}  // namespace hoist::detail::arrays
