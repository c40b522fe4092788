// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/executor.hpp>
#include <hoist/memory.hpp>
#include <hoist/parallel.hpp>

#include <sys/stat.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <ranges>
#include <string>
#include <thread>

#include "support/child_program.hpp"
#include "support/json.hpp"
#include "support/temp_dir.hpp"

// Programs that publish their counters, and a directory to do so in.

namespace support {

/// XDG_RUNTIME_DIR of this process and its children, as long as this exists.
class RuntimeDir {
 public:
  RuntimeDir() {
    ::chmod(dir_.path().c_str(), 0700);
    ::setenv("XDG_RUNTIME_DIR", dir_.path().c_str(), 1);
  }
  RuntimeDir(const RuntimeDir&) = delete;
  RuntimeDir& operator=(const RuntimeDir&) = delete;
  ~RuntimeDir() { ::unsetenv("XDG_RUNTIME_DIR"); }

  std::filesystem::path operator/(const std::string& name) const { return dir_ / name; }
  std::size_t files() const { return count_entries(dir_ / "hoist"); }
  /// Lets the tasks of `publish_until_told` end.
  void release() const { spill(dir_ / "go", ""); }

 private:
  TempDir dir_;
};

inline int half(int x) { return x / 2; }

/// Waits until the test says so, or the test is gone.
inline void wait_for_release() {
  const std::string go = std::string(std::getenv("XDG_RUNTIME_DIR")) + "/go";
  for (int i = 0; i < 15'000 && !std::filesystem::exists(go); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

template <class Function>
struct CallAndWait {
  Function function;

  int operator()(int i) const {
    const int result = function(i);
    if (i >= 4) wait_for_release();
    return result;
  }
};

/// A loop of ten tasks on two workers, the last six of which wait. Each calls a cached function
/// "half", of which two results are stored by then. Before it there were a call of an executor,
/// which still exists, and a loop of three tasks.
inline void publish_until_told(const std::string& backend) {
  const std::string directory = std::getenv("XDG_RUNTIME_DIR");
  const hoist::Memory memory(directory + "/cache");
  const auto cached = memory.cache(half, {.name = "half", .version = "1"});
  hoist::ThreadPoolExecutor executor({.max_workers = 1});
  executor.submit(half, 0).result();
  static_cast<void>(hoist::Parallel({.n_jobs = 2}).map(std::views::iota(0, 3), half));
  static_cast<void>(cached(0));
  static_cast<void>(cached(1));
  static_cast<void>(
      hoist::Parallel({.n_jobs = 2, .backend = backend, .batch_size = 1, .force_fork = true})
          .map(std::views::iota(0, 10), CallAndWait{cached}));
}

/// Whether it has come as far as it does before it is told, by what `hoist top` says as JSON.
inline bool is_at_rest(const Json& program) {
  const auto& loops = program["loops"].items;
  const auto& functions = program["functions"].items;
  return loops.size() == 2 && loops[1]["done"].text == "4" && functions.size() == 1 &&
         functions[0]["misses"].text == "6";
}

}  // namespace support
