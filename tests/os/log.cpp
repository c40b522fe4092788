// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/future.hpp>
#include <hoist/log.hpp>
#include <hoist/memory.hpp>
#include <hoist/parallel.hpp>

#include <algorithm>
#include <chrono>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "support/temp_dir.hpp"

using namespace hoist;
using namespace std::chrono_literals;

namespace {

/// Collects messages as "level source text" while it exists.
class Collected {
 public:
  Collected() {
    before_ = set_log_handler([this](const LogRecord& record) {
      const std::lock_guard lock(mutex_);
      lines_.push_back(std::to_string(static_cast<int>(record.level)) + " " +
                       std::string(record.source) + " " + std::string(record.text));
    });
  }
  ~Collected() { set_log_handler(before_); }
  bool has(const std::string& part) {
    const std::lock_guard lock(mutex_);
    return std::ranges::any_of(
        lines_, [&](const std::string& line) { return line.find(part) != std::string::npos; });
  }

 private:
  std::mutex mutex_;
  std::vector<std::string> lines_;
  LogHandler before_;
};

int twice(int x) { return 2 * x; }
int threshold = 1;
int above(int x) { return x > threshold ? 1 : 0; }

}  // namespace

TEST_CASE("Memory, loops, futures and the watch over workers tell one handler") {
  Collected log;
  {
    const support::TempDir dir;
    const Memory memory(dir / "cache", {.verbose = 10});
    memory.cache(twice)(3);
    memory.cache(twice)(3);
    CHECK(log.has("1 memory calling twice(3)"));
    CHECK(log.has("0 memory stored twice-"));
    CHECK(log.has("0 memory found twice(3)"));
    support::spill(dir / "file", "");
    const Memory broken(dir / "file/cache");
    broken.cache(twice)(3);
    CHECK(log.has("2 memory a result of twice could not be stored"));
  }
  for (const int verbose : {10, 50}) {
    Parallel({.n_jobs = 2, .backend = "threads", .verbose = verbose}).map(std::vector{1, 2}, twice);
  }
  CHECK(log.has("1 parallel Using backend threads with 2 concurrent workers."));
  CHECK(log.has("1 parallel Done   2 out of   2 | elapsed:"));
  threshold = 5;  // a spawned worker has the value from before main
  Parallel({.n_jobs = 2, .backend = "spawn"}).map(std::vector{1, 2, 7}, above);
  CHECK(log.has("2 parallel tasks in worker processes read the variable"));

  Promise<int> promise;
  promise.future().add_done_callback([](const auto&) { throw std::runtime_error("oops"); });
  promise.set_value(1);
  for (int i = 0; i < 2000 && !log.has("oops"); ++i) std::this_thread::sleep_for(5ms);
  CHECK(log.has("3 futures a callback of a future threw"));
}

TEST_CASE("a handler may throw, log, and be replaced") {
  const support::TempDir dir;
  const Memory memory(dir.path(), {.verbose = 1});
  int told = 0;
  const LogHandler before = set_log_handler([&](const LogRecord&) {
    ++told;
    (void)set_log_handler({});  // no dead lock
    throw std::runtime_error("a handler's own trouble");
  });
  memory.cache(twice)(4);
  CHECK(told == 1);
  LogHandler nested = [&](const LogRecord&) {
    ++told;
    (void)Memory({}, {.verbose = 1}).cache(twice)(told);  // goes to stderr
  };
  CHECK_FALSE(set_log_handler(nested));
  memory.cache(twice)(5);
  CHECK(told == 3);
  CHECK(set_log_handler(before));
}
