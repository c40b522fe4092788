// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/error.hpp>
#include <hoist/memory.hpp>
#include <hoist/store.hpp>

#include <cerrno>
#include <chrono>
#include <latch>
#include <memory>
#include <thread>

#include "memory/eviction.hpp"
#include "memory/store.hpp"
#include "memory/store_contract.hpp"
#include "os/file_layer.hpp"
#include "support/child.hpp"
#include "support/temp_dir.hpp"

using hoist::Memory;
using support::TempDir;

namespace {

int square(int x) { return x * x; }

}  // namespace

TEST_CASE("the local store keeps the contract") {
  const TempDir dir;
  support::StoreContract([&] {
    return hoist::detail::memory::make_store("local", {.location = dir / "new"});
  }).run();
  // After clear() only the store's own records remain.
  CHECK(support::count_entries(dir / "new") == 2);
  CHECK(support::slurp(dir / "new/.gitignore") == "*\n");
}

TEST_CASE("the store in memory keeps the contract") {
  const auto keep = hoist::detail::memory::make_store("memory", {.location = "contract"});
  support::StoreContract([] {
    return hoist::detail::memory::make_store("memory", {.location = "contract"});
  }).run();
}

TEST_CASE("a forked child has what threads of its parent had locked in memory") {
  const auto store = hoist::detail::memory::make_store("memory", {.location = "forked"});
  std::latch is_locked(1);
  std::latch is_over(1);
  std::jthread holder([&] {
    const auto lock = store->lock("a");
    is_locked.count_down();
    is_over.wait();
  });
  is_locked.wait();
  support::Child child([&] { static_cast<void>(store->lock("a")); });
  CHECK(child.wait_for(std::chrono::seconds(10)) == 0);
  is_over.count_down();
}

TEST_CASE("a registered store serves a Memory") {
  hoist::register_store_backend("mine", [](const hoist::StoreConfig& config) {
    return hoist::detail::memory::make_store("memory", config);
  });
  const Memory memory("anywhere", {.backend = "mine"});
  const auto cached = memory.cache(square);
  CHECK(cached(5) == 25);
  CHECK(cached(5) == 25);
  CHECK(memory.stats().hits == 1);
  CHECK_FALSE(std::filesystem::exists("anywhere"));
  CHECK_THROWS_AS(Memory("x", {.backend = "unheard of"}), hoist::BadArgument);
  CHECK_THROWS_AS(hoist::register_store_backend("", nullptr), hoist::BadArgument);
}

TEST_CASE("a location that was there before is not hidden from version control") {
  const TempDir dir;
  const Memory memory(dir.path());
  memory.cache(square)(3);
  CHECK_FALSE(std::filesystem::exists(dir / ".gitignore"));
}

TEST_CASE("a relative location means the directory in which the Memory was made") {
  // It was resolved again after each change of the directory.
  const TempDir dir;
  std::filesystem::create_directories(dir / "first");
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(dir / "first");
  const Memory memory("cache");
  std::filesystem::current_path(dir.path());
  memory.cache(square)(3);
  CHECK(memory.cache(square)(3) == 9);
  std::filesystem::current_path(before);
  CHECK(memory.location() == std::filesystem::path(dir / "first/cache"));
  CHECK(std::filesystem::exists(dir / "first/cache"));
  CHECK_FALSE(std::filesystem::exists(dir / "cache"));
  CHECK(memory.stats().hits == 1);
  // What a registered store makes of its location is its own affair.
  hoist::register_store_backend("remote", [](const hoist::StoreConfig& config) {
    CHECK(config.location == "remote:store");
    return hoist::detail::memory::make_store("memory", config);
  });
  CHECK(Memory("remote:store", {.backend = "remote"}).location() == "remote:store");
}

TEST_CASE("symbolic links in a cache lead to nothing that is removed") {
  const TempDir dir;
  std::filesystem::create_directories(dir / "home/a/b");
  support::spill(dir / "home/thesis", "years of work");
  std::filesystem::create_directories(dir / "cache/.hoist");
  std::filesystem::create_directory_symlink(dir / "home", dir / "cache/.hoist/tmp");
  const Memory memory(dir / "cache");
  CHECK(support::slurp(dir / "home/thesis") == "years of work");
  std::filesystem::create_directory_symlink(dir / "home", dir / "cache/function");
  memory.clear();
  CHECK(std::filesystem::exists(dir / "home/a/b"));
}

TEST_CASE("a local store that doesn't exist yet can be locked without waiting, too") {
  const TempDir dir;
  const auto store = hoist::detail::memory::make_store("local", {.location = dir / "new"});
  const auto lock = store->try_lock("f/v/aa/1");
  CHECK(lock != nullptr);
  CHECK(store->try_lock("f/v/aa/1") == nullptr);
}

namespace {

/// Removes all but one entry, like a directory of which a part is another user's.
class KeptFiles final : public hoist::detail::os::FileLayer {
 public:
  int remove(const std::string& path) override {
    return path.ends_with("/1.hoist") ? EACCES : FileLayer::remove(path);
  }
};

}  // namespace

TEST_CASE("what can't be removed is an error, and keeps no other entry") {
  const TempDir dir;
  KeptFiles files;
  const auto store = hoist::detail::memory::make_local_store({.location = dir / "new"}, files);
  const auto fill = [&] {
    for (const char* name : {"f/v/aa/1", "f/v/aa/2", "f/v/bb/3"}) {
      store->put(name, [](hoist::ByteSink&) {});
    }
  };
  fill();
  CHECK_THROWS_AS(store->remove("f/v/aa/1"), hoist::SystemError);
  CHECK_THROWS_AS(store->clear(""), hoist::SystemError);
  CHECK(store->contains("f/v/aa/1"));
  CHECK_FALSE(store->remove("f/v/aa/2"));
  CHECK_FALSE(store->contains("f/v/bb/3"));
  fill();
  CHECK_THROWS_AS(hoist::detail::memory::reduce_store(*store, {.items_limit = 1}),
                  hoist::SystemError);
  CHECK(store->usage().items == 1);
  CHECK(store->contains("f/v/aa/1"));
}
