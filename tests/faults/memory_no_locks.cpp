// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>
#include <hoist/memory.hpp>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "memory/store.hpp"
#include "os/file_layer.hpp"
#include "support/temp_dir.hpp"

using hoist::Memory;
using support::TempDir;
using namespace std::chrono_literals;

namespace {

/// A file system without locks, like some network file systems.
class LocklessFiles final : public hoist::detail::os::FileLayer {
 public:
  int lock_file(int) override { return ENOLCK; }
  int lock_range(int, int, struct flock&) override { return ENOLCK; }
};

std::size_t lines(const std::string& path) {
  const std::string text = support::slurp(path);
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

/// Waits until all callers are inside, which proves that each of them computes.
std::vector<int> gathered(const std::string& log, int callers, int n) {
  std::ofstream(log, std::ios::app) << "call" << std::endl;
  while (lines(log) < static_cast<std::size_t>(callers)) std::this_thread::sleep_for(1ms);
  return std::vector<int>(static_cast<std::size_t>(n), n);
}

int same(int x) { return x; }

bool register_lockless() {
  static LocklessFiles files;
  hoist::register_store_backend("lockless", [](const hoist::StoreConfig& config) {
    return hoist::detail::memory::make_local_store(config, files);
  });
  return true;
}

}  // namespace

TEST_CASE("without locks all compute, one entry stays, and each process says so once") {
  register_lockless();
  const TempDir dir;
  const std::string log = dir / "log";
  support::spill(log, "");
  std::vector<pid_t> children;
  for (int i = 0; i < 4; ++i) {
    const pid_t child = ::fork();
    if (child == 0) {
      ::alarm(30);
      const Memory memory(dir / "cache", {.verbose = 1, .backend = "lockless"});
      const int notes =
          ::open((dir / ("notes" + std::to_string(i))).c_str(), O_WRONLY | O_CREAT, 0666);
      ::dup2(notes, STDERR_FILENO);
      const auto cached = memory.cache(gathered, {.ignore = {0, 1}});
      const bool right = cached(log, 4, 300) == std::vector<int>(300, 300) &&
                         cached(log, 4, 301) == std::vector<int>(301, 301) &&
                         cached(log, 4, 300) == std::vector<int>(300, 300);
      ::_exit(right && memory.stats().errors == 0 ? 0 : 1);
    }
    children.push_back(child);
  }
  for (const pid_t child : children) {
    int status = 0;
    ::waitpid(child, &status, 0);
    const int code = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    CHECK(code == 0);
  }
  CHECK(lines(log) >= 5);  // the first result by all four; the second by one at least
  for (int i = 0; i < 4; ++i) {
    const std::string text = support::slurp(dir / ("notes" + std::to_string(i)));
    const auto first = text.find("can't be locked");
    CHECK(first != std::string::npos);
    CHECK(text.find("can't be locked", first + 1) == std::string::npos);
  }
  const Memory memory(dir / "cache", {.backend = "lockless"});
  const auto cached = memory.cache(gathered, {.ignore = {0, 1}});
  CHECK(cached(log, 4, 300).size() == 300);
  CHECK(cached(log, 4, 301).size() == 301);
  CHECK(memory.stats().hits == 2);
  CHECK(support::count_entries(dir / "cache/.hoist/tmp") == 0);
}

TEST_CASE("without locks threads still compute once, and limits hold") {
  register_lockless();
  const TempDir dir;
  const Memory memory(dir.path(), {.items_limit = 50, .backend = "lockless"});
  const auto cached = memory.cache(same);
  for (int i = 0; i < 300; ++i) CHECK(cached(i) == i);
  std::uint64_t entries = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(dir.path())) {
    entries += entry.path().extension() == ".hoist" && entry.is_regular_file() ? 1U : 0U;
  }
  CHECK(entries <= 55);
  CHECK(entries >= 40);
  const std::string log = dir / "log";
  const auto one = memory.cache(gathered, {.ignore = {0, 1}});
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 6; ++i) threads.emplace_back([&] { CHECK(one(log, 1, 5).size() == 5); });
  }
  CHECK(lines(log) == 1);
}
