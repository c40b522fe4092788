// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/cpu_count.hpp>
#include <hoist/error.hpp>
#include <hoist/parallel.hpp>
#include <hoist/parallel_config.hpp>

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>

#include "os/cpu.hpp"
#include "support/temp_dir.hpp"

using namespace hoist;
using namespace std::chrono_literals;

namespace {

/// The text that a call prints on stderr.
template <class F>
std::string stderr_of(const support::TempDir& dir, F&& f) {
  const std::string path = (dir / "stderr").string();
  std::fflush(stderr);
  const int before = ::dup(STDERR_FILENO);
  REQUIRE(std::freopen(path.c_str(), "w", stderr) != nullptr);
  f();
  std::fflush(stderr);
  ::dup2(before, STDERR_FILENO);
  ::close(before);
  return support::slurp(path);
}

}  // namespace

TEST_CASE("verbose lines are joblib's") {
  const support::TempDir dir;
  const std::string text = stderr_of(dir, [] {
    Parallel({.n_jobs = 2, .backend = "threads", .verbose = 11})
        .for_each(std::views::iota(0, 4), [](int) {});
  });
  CHECK(
      text.starts_with("[Parallel(n_jobs=2)]: Using backend threads with 2 concurrent workers.\n"));
  CHECK(text.find("Done   4 out of   4 | elapsed: ") != std::string::npos);
  CHECK(text.ends_with("finished\n"));
  CHECK(stderr_of(dir, [] { Parallel().for_each(std::views::iota(0, 4), [](int) {}); }).empty());
}

TEST_CASE("progress: a callback in the calling thread, or lines") {
  const support::TempDir dir;
  const auto me = std::this_thread::get_id();
  ProgressReport last;
  int calls = 0;
  Parallel({.n_jobs = 2,
            .progress =
                [&](const ProgressReport& report) {
                  CHECK(std::this_thread::get_id() == me);
                  CHECK(report.done >= last.done);
                  last = report;
                  ++calls;
                }})
      .for_each(std::views::iota(0, 30), [](int) { std::this_thread::sleep_for(15ms); });
  CHECK(last.finished);
  CHECK(last.done == 30);
  CHECK(last.total == 30);
  CHECK(calls >= 2);
  const std::string text = stderr_of(dir, [] {
    Parallel({.n_jobs = 2, .progress = true}).for_each(std::views::iota(0, 4), [](int) {});
  });
  CHECK(text.find("100 % 4/4") != std::string::npos);
}

TEST_CASE("a trace holds every task, on every backend") {
  const support::TempDir dir;
  for (const auto& backend : backend_names()) {
    CAPTURE(backend);
    const auto path = dir / (backend + ".json");
    Parallel({.n_jobs = 2, .backend = backend, .trace = path})
        .for_each(std::views::iota(0, 25), [](int) {});
    const std::string text = support::slurp(path);
    for (int i = 0; i < 25; ++i) {
      CHECK(text.find("\"name\":\"task " + std::to_string(i) + "\"") != std::string::npos);
    }
    CHECK(text.find("\"traceEvents\"") != std::string::npos);
    if (std::system("python3 -c 'pass' 2>/dev/null") == 0) {
      CHECK(std::system(("python3 -m json.tool " + path.string() + " /dev/null").c_str()) == 0);
    }
  }
}

// What was not ASCII was left out of the texts.
TEST_CASE("a trace has what the error of a task says, as UTF-8") {
  const support::TempDir dir;
  const auto path = dir / "run.json";
  static_cast<void>(
      Parallel({.n_jobs = 1, .trace = path}).map_outcomes(std::views::iota(0, 1), [](int) -> int {
        throw std::runtime_error("no \"Zürich\"\n\xff");
      }));
  const std::string text = support::slurp(path);
  CHECK(text.find("no \\\"Zürich\\\"\\u000a\\ufffd") != std::string::npos);
}

TEST_CASE("children that were put on processors of their own are as free as their parent") {
  const auto all = detail::os::affinity();
  REQUIRE(!all.empty());
  for (const int processor : all) {
    detail::os::move_to_processor(processor);
    CHECK(detail::os::affinity() == all);
  }
  const auto jobs = static_cast<int>(all.size());
  const auto seen = Parallel({.n_jobs = jobs, .backend = "fork", .force_fork = true})
                        .map(std::views::iota(0, jobs), [](int) { return detail::os::affinity(); });
  for (const auto& each : seen) CHECK(each == all);
  CHECK(detail::os::usable_cores_each(1) == static_cast<unsigned>(detail::os::usable_cores()));
  CHECK(detail::os::usable_cores_each(1'000'000) == 1);
  ::setenv("HOIST_MAX_CPU_COUNT", "many", 1);
  CHECK_THROWS_AS(detail::os::usable_cores_each(1'000'000), BadArgument);
  ::unsetenv("HOIST_MAX_CPU_COUNT");
}

TEST_CASE("quotas of control groups count, on the whole path") {
  const support::TempDir root;
  const auto write = [&](const std::string& path, const std::string& text) {
    std::filesystem::create_directories((root / path).parent_path());
    support::spill(root / path, text);
  };
  const auto least = [&] {
    int cpus = 1000;
    for (const auto& limit : detail::os::cgroup_limits(root.path()))
      cpus = std::min(cpus, limit.cpus);
    return cpus;
  };
  CHECK(least() == 1000);
  write("proc/self/mountinfo",
        "30 20 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n");
  write("proc/self/cgroup", "0::/user/session/mine\n");
  write("sys/fs/cgroup/user/session/mine/cpu.max", "max 100000\n");
  CHECK(least() == 1000);
  write("sys/fs/cgroup/user/cpu.max", "350000 100000\n");
  CHECK(least() == 4);
  write("sys/fs/cgroup/user/session/mine/cpu.max", "10000 100000\n");
  CHECK(least() == 1);
  for (const char* nonsense : {"", "abc def", "-5 100000", "100000 0", "1e400 1"}) {
    write("sys/fs/cgroup/user/session/mine/cpu.max", nonsense);
    CHECK(least() == 4);
  }
  // Inside a container the mount shows only the container's part.
  write("proc/self/mountinfo", "30 20 0:26 /box /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
  write("proc/self/cgroup", "0::/box/inner\n");
  write("sys/fs/cgroup/inner/cpu.max", "200000 100000\n");
  CHECK(least() == 2);
  write("proc/self/mountinfo",
        "31 20 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n");
  write("proc/self/cgroup", "4:cpu,cpuacct:/old/job\n0::/\n");
  write("sys/fs/cgroup/cpu/old/cpu.cfs_quota_us", "300000\n");
  write("sys/fs/cgroup/cpu/old/cpu.cfs_period_us", "100000\n");
  write("sys/fs/cgroup/cpu/old/job/cpu.cfs_quota_us", "-1\n");
  write("sys/fs/cgroup/cpu/old/job/cpu.cfs_period_us", "100000\n");
  CHECK(least() == 3);
}

TEST_CASE("cpu_count hears the environment") {
  const int all = cpu_count();
  CHECK(all >= 1);
  CHECK(cpu_count({.only_physical = true}) <= all);
  ::setenv("HOIST_MAX_CPU_COUNT", "1", 1);
  CHECK(cpu_count() == 1);
  CHECK(explain_cpu_count().find("HOIST_MAX_CPU_COUNT") != std::string::npos);
  ::setenv("HOIST_MAX_CPU_COUNT", "none", 1);
  CHECK_THROWS_WITH_AS(cpu_count(), doctest::Contains("HOIST_MAX_CPU_COUNT"), BadArgument);
  ::unsetenv("HOIST_MAX_CPU_COUNT");
  ::setenv("HOIST_N_JOBS", "3", 1);
  CHECK(effective_n_jobs() == 3);
  ::setenv("HOIST_N_JOBS", "many", 1);
  CHECK_THROWS_AS(effective_n_jobs(), BadArgument);
  ::unsetenv("HOIST_N_JOBS");
  ::setenv("HOIST_BACKEND", "spawn", 1);
  const auto pids =
      Parallel({.n_jobs = 2}).map(std::views::iota(0, 2), [](int) { return ::getpid(); });
  CHECK(pids[0] != ::getpid());
  // The program's own output comes first.
  CHECK(Parallel({.n_jobs = 2, .backend = "threads"}).map(std::vector{1}, [](int) {
    return ::getpid();
  })[0] == ::getpid());
  ::setenv("HOIST_BACKEND", "nonsense", 1);
  CHECK_THROWS_AS(Parallel().map(std::views::iota(0, 2), [](int i) { return i; }), BadArgument);
  ::unsetenv("HOIST_BACKEND");
}

TEST_CASE("a trace has every task and the sizes of batches, whatever the backend") {
  const support::TempDir dir;
  for (const std::string backend : {"sequential", "threads", "fork", "spawn"}) {
    CAPTURE(backend);
    const auto path = dir / (backend + ".json");
    Parallel({.n_jobs = 2, .backend = backend, .batch_size = 5, .trace = path})
        .for_each(std::views::iota(0, 20), [](int) {});
    const std::string text = support::slurp(path);
    for (int i = 0; i < 20; ++i) {
      CHECK(text.find("\"name\":\"task " + std::to_string(i) + "\"") != std::string::npos);
    }
    CHECK(text.find("\"name\":\"batch of 5\"") != std::string::npos);
  }
}

TEST_CASE(
    "a trace that can't be written is an error before the work, a callback's one is the loop's") {
  int ran = 0;
  CHECK_THROWS_AS(Parallel({.backend = "sequential", .trace = "/nowhere/to/be/found.json"})
                      .for_each(std::views::iota(0, 4), [&](int) { ++ran; }),
                  Error);
  CHECK(ran == 0);
  const auto refuse = [](const ProgressReport&) { throw std::domain_error("no report"); };
  for (const std::string backend : {"sequential", "threads", "fork", "spawn"}) {
    CAPTURE(backend);
    CHECK_THROWS_AS(Parallel({.n_jobs = 2, .backend = backend, .progress = refuse})
                        .for_each(std::views::iota(0, 4), [](int) {}),
                    std::domain_error);
  }
}
