// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/memory.hpp>
#include <hoist/store.hpp>

#include <sys/stat.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "memory/store.hpp"
#include "support/child_program.hpp"
#include "support/hard_limit.hpp"
#include "support/temp_dir.hpp"

// Trouble with the cache never keeps a call from its result.

using hoist::Memory;
using hoist::OnStoreError;
using support::TempDir;
using namespace std::chrono_literals;

namespace {

/// Which members of a TroubledStore throw.
struct Trouble {
  bool get = false, lock = false, announce_wait = false, usage = false;
  std::atomic<int> announced{0};
};

Trouble* trouble = nullptr;

/// A store in memory that fails where it is told to.
class TroubledStore final : public hoist::StoreBackend {
 public:
  explicit TroubledStore(std::unique_ptr<hoist::StoreBackend> store) : store_(std::move(store)) {}

  std::unique_ptr<hoist::StoredEntry> get(const std::string& name) override {
    if (trouble->get) throw 42;  // "exceptions of any kind"
    return store_->get(name);
  }
  void put(const std::string& name, const std::function<void(hoist::ByteSink&)>& write) override {
    store_->put(name, write);
  }
  bool contains(const std::string& name) override { return store_->contains(name); }
  bool remove(const std::string& name) override { return store_->remove(name); }
  void list(const std::string& prefix,
            const std::function<void(const hoist::StoreItem&)>& visit) override {
    store_->list(prefix, visit);
  }
  std::unique_ptr<hoist::StoreLock> lock(const std::string& name) override {
    if (trouble->lock) throw std::runtime_error("no lock today");
    return store_->lock(name);
  }
  std::unique_ptr<hoist::StoreLock> try_lock(const std::string& name) override {
    return store_->try_lock(name);
  }
  std::unique_ptr<hoist::StoreWait> announce_wait(const std::string& name,
                                                  const std::vector<std::string>& held) override {
    ++trouble->announced;
    if (trouble->announce_wait) throw std::runtime_error("no connection");
    return store_->announce_wait(name, held);
  }
  hoist::StoreUsage usage() override {
    if (trouble->usage) throw std::runtime_error("nobody counts");
    return store_->usage();
  }

 private:
  std::unique_ptr<hoist::StoreBackend> store_;
};

/// A Memory on such a store, new for each test.
Memory troubled_memory(Trouble& which, hoist::MemoryOptions options = {}) {
  static int count = 0;
  trouble = &which;
  hoist::register_store_backend("troubled", [](const hoist::StoreConfig& config) {
    return std::make_unique<TroubledStore>(hoist::detail::memory::make_store("memory", config));
  });
  options.backend = "troubled";
  return Memory("troubled " + std::to_string(++count), options);
}

std::atomic<int> calls{0};
std::atomic<bool> inner_runs{false};
const Memory* shared_memory = nullptr;

int plus_one(int x) {
  ++calls;
  return x + 1;
}

int inner(int x) {
  ++calls;
  inner_runs = true;
  const auto until = std::chrono::steady_clock::now() + 10s;
  while (trouble->announced == 0 && std::chrono::steady_clock::now() < until) {
    std::this_thread::sleep_for(1ms);
  }
  return x * 2;
}

int outer(int x) {
  while (!inner_runs) std::this_thread::sleep_for(1ms);
  return shared_memory->cache(inner)(x) + 1;
}

std::atomic<int> encodings{0};

/// Counts how often it is encoded.
struct Counted {
  std::string text;
  template <class Ar>
  void serialize(Ar& ar) {
    if constexpr (!Ar::decoding && !Ar::hashing && !Ar::describing) ++encodings;
    ar(text);
  }
};

Counted counted(int n) { return {std::string(static_cast<std::size_t>(n), 'c')}; }

std::vector<std::string> much_text(int n) {
  return std::vector<std::string>(static_cast<std::size_t>(n), std::string(4000, 't'));
}

int nested(int x) { return x == 0 ? 1 : shared_memory->cache(nested)(x - 1) + 1; }

/// Uses what a Memory has of everything; true if all results are right.
bool uses_memories() {
  const TempDir dir;
  bool right = true;
  for (const char* backend : {"local", "memory"}) {
    const Memory memory(dir / "cache", {.items_limit = 3, .hot_bytes = "1K", .backend = backend});
    shared_memory = &memory;
    const auto cached = memory.cache(nested);
    right = right && cached(4) == 5 && cached(4) == 5 && cached.call_and_shelve(2).get() == 3;
    memory.reduce_size({.items_limit = 1});
  }
  return right;
}

struct AtEnd {
  ~AtEnd() { std::_Exit(uses_memories() ? 7 : 1); }
};

}  // namespace

TEST_CASE("a store that fails to announce a wait makes the caller compute alone") {
  // The exception reached the user's call.
  Trouble which;
  which.announce_wait = true;
  const Memory memory = troubled_memory(which);
  shared_memory = &memory;
  calls = 0;
  inner_runs = false;
  std::jthread other([&] { CHECK(memory.cache(inner)(5) == 10); });
  CHECK(memory.cache(outer)(5) == 11);
  other.join();
  CHECK(which.announced > 0);
  CHECK(calls == 2);
}

TEST_CASE("a failing eviction leaves the result stored and the call alone") {
  // The result was reported as not stored, and the error thrown.
  Trouble which;
  which.usage = true;
  const Memory memory =
      troubled_memory(which, {.items_limit = 10, .on_store_error = OnStoreError::fail});
  const auto cached = memory.cache(plus_one);
  calls = 0;
  CHECK(cached(1) == 2);
  CHECK(cached(1) == 2);
  CHECK(calls == 1);
  CHECK(memory.stats().stored == 1);
  CHECK(memory.stats().errors == 1);
}

TEST_CASE("a store may throw anything") {
  Trouble which;
  which.get = which.lock = true;
  const Memory memory = troubled_memory(which);
  calls = 0;
  CHECK(memory.cache(plus_one)(1) == 2);
  CHECK(memory.cache(plus_one)(1) == 2);
  CHECK(calls == 2);
}

TEST_CASE("the result of a miss is encoded once") {
  const TempDir dir;
  const Memory memory(dir.path(), {.hot_bytes = "1M"});
  const auto cached = memory.cache(counted);
  for (const int n : {10, 10000}) {
    encodings = 0;
    CHECK(cached(n).text.size() == static_cast<std::size_t>(n));  // size, entry, copy in memory
    CHECK(encodings == 1);
    CHECK(cached(n).text.size() == static_cast<std::size_t>(n));
    CHECK(encodings == 1);
    CHECK(Memory(dir.path()).cache(counted)(n).text.size() == static_cast<std::size_t>(n));
    encodings = 0;
    CHECK(Memory().cache(counted).call_and_shelve(n).get().text.size() ==
          static_cast<std::size_t>(n));
    CHECK(encodings == 1);
  }
}

TEST_CASE("much that is no block is stored in stretches that readers accept") {
  const TempDir dir;
  const Memory memory(dir.path(), {.on_store_error = OnStoreError::fail});
  const auto cached = memory.cache(much_text);
  const auto computed = cached(6000);  // 24 MB
  CHECK(cached(6000) == computed);
  CHECK(memory.stats().hits == 1);
  CHECK(memory.stats().errors == 0);
}

TEST_CASE("the size of large arguments is right") {
  // What the hasher still had in its buffer was left out: 520 instead of 800 bytes.
  const TempDir dir;
  const Memory memory(dir.path());
  const auto cached = memory.cache([](const std::string& text) { return text.size(); });
  for (const std::size_t size : {100u, 800u, 3000u}) {
    const auto metadata = cached.call(std::string(size, 'a')).metadata;
    CHECK(metadata.arguments_bytes == 9 + 16 + 8 + size);  // format and mask, schema, length, text
  }
}

TEST_CASE("(child) memories at exit" * doctest::skip()) {
  static const AtEnd last;  // destroyed after what it uses was made, and after thread_local objects
  CHECK(uses_memories());
}

TEST_CASE("a Memory serves destructors of static objects") {
  support::ChildProgram child("(child) memories at exit");
  CHECK(child.ends_within(20s));
  CHECK(child.exit_code() == 7);
}

TEST_CASE("a pipe in the place of an entry is a miss, and nobody waits for it") {
  const support::HardLimit limit;
  const TempDir dir;
  const Memory memory(dir.path().string());
  const auto cached = memory.cache(+[](int x) { return x + 1; }, {.name = "next", .version = "1"});
  CHECK(cached(1) == 2);
  std::vector<std::filesystem::path> entries;
  for (const auto& file : std::filesystem::recursive_directory_iterator(dir.path())) {
    if (file.path().extension() == ".hoist" && file.is_regular_file())
      entries.push_back(file.path());
  }
  REQUIRE(entries.size() == 1);
  std::filesystem::remove(entries[0]);
  REQUIRE(::mkfifo(entries[0].c_str(), 0600) == 0);
  const Memory again(dir.path().string());
  CHECK(again.cache(+[](int x) { return x + 1; }, {.name = "next", .version = "1"})(1) == 2);
}
