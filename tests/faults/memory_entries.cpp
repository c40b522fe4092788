// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <hoist/array.hpp>
#include <hoist/dump.hpp>
#include <hoist/memory.hpp>
#include <hoist/share.hpp>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "memory/store.hpp"
#include "os/file_layer.hpp"
#include "support/temp_dir.hpp"

using hoist::Memory;
using hoist::OnStoreError;
using support::TempDir;

namespace {

std::atomic<int> calls{0};

struct Answer {
  int number = 0;
  std::string text;
  std::vector<double> values;
  bool operator==(const Answer&) const = default;
};

Answer answer(int x, int size) {
  ++calls;
  return {x, "text " + std::to_string(x),
          std::vector<double>(static_cast<std::size_t>(size), x / 3.0)};
}

std::vector<std::filesystem::path> entries(const std::filesystem::path& directory) {
  std::vector<std::filesystem::path> found;
  for (const auto& file : std::filesystem::recursive_directory_iterator(directory)) {
    if (file.path().extension() == ".hoist" && file.is_regular_file()) found.push_back(file.path());
  }
  return found;
}

int in_child(const auto& work) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(work());
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/// Calls whose results must be right whatever the cache does; 0 if all are.
int wrong_answers(const Memory& memory, int n, int size) {
  const auto cached = memory.cache(answer);
  int wrong = 0;
  for (int i = 0; i < n; ++i) wrong += cached(i, size) == answer(i, size) ? 0 : 1;
  return wrong;
}

}  // namespace

TEST_CASE("an entry with any byte changed, or cut anywhere, is computed anew") {
  const TempDir dir;
  for (const hoist::Compression& compress : {hoist::Compression(), hoist::Compression("zstd", 1)}) {
    const Memory memory(dir.path(), {.compress = compress, .on_store_error = OnStoreError::fail});
    memory.clear();
    const auto cached = memory.cache(answer);
    const Answer right = cached(5, 20);
    const auto path = entries(dir.path()).at(0);
    const std::string whole = support::slurp(path);
    REQUIRE(whole.size() > 300);
    int recomputed = 0;
    for (std::size_t i = 0; i < whole.size(); ++i) {
      CAPTURE(i);
      for (const bool cut : {false, true}) {
        std::string changed = whole;
        if (cut) {
          changed.resize(i);
        } else {
          changed[i] = static_cast<char>(changed[i] ^ (1 << (i % 8)));
        }
        support::spill(path, changed);
        const int before = calls;
        CHECK(cached(5, 20) == right);
        recomputed += calls - before;
      }
    }
    support::spill(path, whole + "x");
    CHECK(cached(5, 20) == right);
    // Every change is detected, except in padding and reserved bytes.
    CHECK(recomputed >= static_cast<int>(2 * whole.size() * 95 / 100));
  }
}

TEST_CASE("other things where entries should be") {
  const TempDir dir;
  const Memory memory(dir.path(), {.on_store_error = OnStoreError::ignore});
  const auto cached = memory.cache(answer);
  cached(1, 10);
  const auto path = entries(dir.path()).at(0);
  std::filesystem::remove(path);
  std::filesystem::create_directory(path);  // a directory by the entry's name
  CHECK(cached(1, 10) == answer(1, 10));
  CHECK(wrong_answers(memory, 3, 10) == 0);
  std::filesystem::remove(path);
  std::filesystem::create_symlink("/nowhere", path);
  CHECK(cached(1, 10) == answer(1, 10));
  memory.clear();
  support::spill(dir / ".hoist/tmp/1-2", "left behind");
  support::spill(dir / "foreign.txt", "not ours");
  const Memory next(dir.path());
  CHECK(support::count_entries(dir / ".hoist/tmp") == 0);
  next.clear();
  CHECK(support::slurp(dir / "foreign.txt") == "not ours");
}

TEST_CASE("a directory removed under way") {
  const TempDir dir;
  std::atomic<bool> stop{false};
  std::jthread remover([&] {
    while (!stop) {
      std::error_code ignored;
      std::filesystem::remove_all(dir / "cache", ignored);
    }
  });
  const Memory memory(dir / "cache", {.items_limit = 50, .on_store_error = OnStoreError::ignore});
  std::atomic<int> wrong{0};
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 2; ++t) {
      threads.emplace_back([&] { wrong += wrong_answers(memory, 400, 30); });
    }
  }
  stop = true;
  remover.join();
  CHECK(wrong == 0);
  // Without further faults it caches again.
  CHECK(wrong_answers(memory, 10, 30) == 0);
  const auto before = memory.stats().hits;
  CHECK(wrong_answers(memory, 10, 30) == 0);
  CHECK(memory.stats().hits == before + 10);
}

TEST_CASE("a directory that can't be written to still answers") {
  if (::geteuid() != 0) return;  // only root can become somebody else
  const TempDir dir;
  std::filesystem::permissions(dir.path(), std::filesystem::perms(0755));
  const std::string location = dir / "cache";
  wrong_answers(Memory(location), 5, 20);
  const int result = in_child([&] {
    if (::setuid(65534) != 0) return 100;
    const Memory memory(location, {.items_limit = 3, .on_store_error = OnStoreError::ignore});
    if (wrong_answers(memory, 10, 20) != 0) return 1;
    if (memory.stats().hits != 5 || memory.stats().errors != 5) return 2;
    const Memory failing(location, {.on_store_error = OnStoreError::fail});
    try {
      failing.cache(answer)(100, 20);
      return 3;
    } catch (const hoist::SystemError& error) {
      return error.code() == EACCES ? 0 : 4;
    }
  });
  CHECK(result == 0);
}

TEST_CASE("a full disk") {
  const TempDir dir;
  // A tmpfs of 300 KiB in a mount namespace of its own, if the system permits it.
  const int result = in_child([&] {
    if (::unshare(CLONE_NEWNS | (::geteuid() == 0 ? 0 : CLONE_NEWUSER)) != 0) return 200;
    ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
    if (::mount("tmpfs", dir.path().c_str(), "tmpfs", 0, "size=300k") != 0) return 200;
    const Memory memory(dir / "cache", {.on_store_error = OnStoreError::ignore});
    if (wrong_answers(memory, 100, 2000) != 0) return 1;
    if (memory.stats().stored == 0 || memory.stats().errors < 50) return 2;
    if (support::count_entries(dir / "cache/.hoist/tmp") != 0) return 3;
    // Entries stored before the disk was full are found, and freed space is used.
    const auto hits = memory.stats().hits;
    if (wrong_answers(memory, 3, 2000) != 0 || memory.stats().hits != hits + 3) return 4;
    memory.clear();
    const auto stored = memory.stats().stored;
    if (wrong_answers(memory, 5, 2000) != 0 || memory.stats().stored != stored + 5) return 5;
    // Full from the start: not even the table of uses can be created.
    support::spill(dir / "filler", std::string(400000, 'x'));
    const Memory late(dir / "late", {.items_limit = 5, .on_store_error = OnStoreError::ignore});
    return wrong_answers(late, 20, 2000) == 0 ? 0 : 6;
  });
  if (result == 200) {
    MESSAGE("no right to mount a tmpfs here");
  } else {
    CHECK(result == 0);
  }
}

namespace {

/// Makes writes fail after the first bytes, like a full disk.
class FullFiles final : public hoist::detail::os::FileLayer {
 public:
  void write(int fd, std::span<const std::byte> bytes, const std::string& path) override {
    if (left < bytes.size()) {
      hoist::detail::os::FileLayer::write(fd, bytes.first(left), path);
      left = 0;
      throw hoist::SystemError("can't write to \"" + path + "\"", ENOSPC);
    }
    left -= bytes.size();
    hoist::detail::os::FileLayer::write(fd, bytes, path);
  }
  std::size_t left = 0;
};

}  // namespace

TEST_CASE("a store that fails at any byte leaves nothing behind") {
  const TempDir dir;
  static FullFiles files;
  hoist::register_store_backend("full", [](const hoist::StoreConfig& config) {
    return hoist::detail::memory::make_local_store(config, files);
  });
  for (std::size_t left = 0; left < 3000; left += 97) {
    files.left = left;
    const Memory memory(dir / "cache", {.on_store_error = OnStoreError::ignore, .backend = "full"});
    CHECK(wrong_answers(memory, 4, 100) == 0);
    CHECK(memory.stats().errors > 0);
    CHECK(support::count_entries(dir / "cache/.hoist/tmp") == 0);
    memory.clear();
  }
  files.left = 0;
  const Memory strict(dir / "strict", {.on_store_error = OnStoreError::fail, .backend = "full"});
  CHECK_THROWS_AS(strict.cache(answer)(1, 1), hoist::SystemError);
}

TEST_CASE("a limit on file sizes is an error as others are") {
  // SIGXFSZ ended the process.
  const TempDir dir;
  CHECK(in_child([&] {
          ::signal(SIGXFSZ, SIG_DFL);
          const struct rlimit limit{200'000, 200'000};
          ::setrlimit(RLIMIT_FSIZE, &limit);
          const Memory memory(dir / "cache", {.on_store_error = OnStoreError::ignore});
          int wrong = wrong_answers(memory, 3, 100'000) + wrong_answers(memory, 3, 10);
          if (memory.stats().errors != 3 || memory.stats().stored != 3) wrong += 10;
          try {
            hoist::dump(std::vector<double>(100'000), dir / "large");
            wrong += 20;
          } catch (const hoist::SystemError& error) {
            if (error.code() != EFBIG) wrong += 30;
          }
          // A shared value stays on the heap where no memory file can hold it.
          const auto shared = hoist::share(hoist::Array<double>({100'000}));
          if (shared->size() != 100'000) wrong += 40;
          // The program's own writes have the effect that it chose.
          const auto file = ::open((dir / "own").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
          if (wrong == 0) {
            [[maybe_unused]] const auto written = ::pwrite(file, "x", 1, 200'000);
          }
          return wrong;
        }) == -SIGXFSZ);
}
