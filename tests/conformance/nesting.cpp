// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/cpu_count.hpp>
#include <hoist/error.hpp>
#include <hoist/parallel.hpp>
#include <hoist/parallel_config.hpp>

#include <dlfcn.h>
#include <unistd.h>

#include <cstdlib>
#include <set>
#include <thread>

#include "conformance/support.hpp"

using namespace hoist;
using conformance::backends;

namespace {

int inner_jobs(int) { return effective_n_jobs(); }

/// The backend of an inner loop without options, as its tasks see it.
bool inner_runs_here(int) {
  const auto me = std::this_thread::get_id();
  const auto threads =
      Parallel().map(std::views::iota(0, 20), [](int) { return std::this_thread::get_id(); });
  return std::set(threads.begin(), threads.end()) == std::set{me};
}

int jobs_two_levels_down(int) {
  return Parallel({.n_jobs = 1, .backend = "sequential"}).map(std::vector{1}, [](int) {
    return effective_n_jobs();
  })[0];
}

int endless(int depth) {
  return Parallel({.n_jobs = 2, .backend = "threads"}).map(std::vector{depth + 1}, endless)[0];
}

/// How many threads OpenMP would start in a task; 0 where it isn't loaded.
int openmp_threads(int) {
  void* library = ::dlopen("libgomp.so.1", RTLD_LAZY | RTLD_LOCAL);
  if (library == nullptr) return 0;
  const auto get = reinterpret_cast<int (*)()>(::dlsym(library, "omp_get_max_threads"));
  return get != nullptr ? get() : 0;
}

std::string variable(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  return value != nullptr ? value : "";
}

/// The environment as the program's static initializers see it.
const std::string limits_at_start = [] {
  std::string all;
  for (const char* name :
       {"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS",
        "VECLIB_MAXIMUM_THREADS", "NUMEXPR_NUM_THREADS", "NUMBA_NUM_THREADS", "TBB_NUM_THREADS"}) {
    all += variable(name);
  }
  return all;
}();

}  // namespace

TEST_CASE("a loop inside of a task gets its share of the cores, and one deeper none") {
  const int share = std::max(1, cpu_count() / 2);
  for (const auto& backend : backends()) {
    CAPTURE(backend);
    const Parallel parallel({.n_jobs = 2, .backend = backend});
    const int jobs = hoist::find_backend(backend)->traits().sequential ? 1 : 2;
    const int expected = jobs == 1 ? cpu_count() : share;
    CHECK(parallel.map(std::vector{1, 2, 3}, inner_jobs) == std::vector(3, expected));
    CHECK(parallel.map(std::vector{1, 2}, jobs_two_levels_down) == std::vector(2, 1));
    if (expected == 1) {
      CHECK(parallel.map(std::vector{1, 2}, inner_runs_here) == std::vector<bool>{true, true});
    }
  }
}

TEST_CASE("loops that start themselves without end are an error") {
  for (const auto& backend : backends()) {
    CAPTURE(backend);
    CHECK_THROWS_WITH_AS(Parallel({.n_jobs = 2, .backend = backend}).map(std::vector{1}, endless),
                         doctest::Contains("nested"), BadArgument);
  }
}

TEST_CASE("all backends nest in all that allow it, with the right results") {
  for (const auto& outer : backends()) {
    for (const auto& inner : backends()) {
      // A process with other running threads can't be forked safely.
      if (inner == "fork" && outer == "threads") continue;
      if (conformance::is_remote(inner)) continue;  // workers have no hosts of their own
      CAPTURE(outer);
      CAPTURE(inner);
      if (inner == "one_by_one" && outer == "spawn") continue;  // registered by main
      const int which = static_cast<int>(&inner - backends().data());
      const auto sums =
          Parallel({.n_jobs = 2, .backend = outer}).map(std::views::iota(0, 4), [which](int i) {
            const auto& name = backends()[static_cast<std::size_t>(which)];
            const auto values =
                Parallel({.n_jobs = 2, .backend = name}).map(std::views::iota(0, 10), [i](int j) {
                  return i * j;
                });
            return std::accumulate(values.begin(), values.end(), 0);
          });
      CHECK(sums == std::vector{0, 45, 90, 135});
    }
  }
}

TEST_CASE("a scope's defaults hold in the tasks of its loops") {
  for (const auto& backend : backends()) {
    CAPTURE(backend);
    const ParallelConfig scope{{.n_jobs = 2, .backend = "sequential"}};
    const auto inside =
        Parallel({.n_jobs = 2, .backend = backend}).map(std::vector{1, 2}, inner_runs_here);
    CHECK(inside == std::vector<bool>{true, true});
  }
}

TEST_CASE("libraries start no more threads inside of tasks than cores are left for each") {
  if (openmp_threads(0) == 0) return;  // no OpenMP here
  const int share = std::max(1, cpu_count() / 2);
  for (const auto& backend : backends()) {
    if (hoist::find_backend(backend)->traits().sequential) continue;
    CAPTURE(backend);
    const int before = openmp_threads(0);
    if (variable("OMP_NUM_THREADS").empty()) {
      CHECK(Parallel({.n_jobs = 2, .backend = backend}).map(std::vector{1, 2}, openmp_threads) ==
            std::vector(2, share));
    }
    CHECK(Parallel({.n_jobs = 2, .backend = backend, .inner_max_num_threads = 3})
              .map(std::vector{1, 2}, openmp_threads) == std::vector(2, 3));
    CHECK(openmp_threads(0) == before);
  }
}

TEST_CASE("workers' environment names the limit before the program's own code runs") {
  const auto seen = [](int) { return limits_at_start; };
  CHECK(Parallel({.n_jobs = 2, .backend = "spawn", .inner_max_num_threads = 3})
            .map(std::vector{1}, seen)[0] == "33333333");
  // The user's setting holds unless the loop overrides it.
  ::setenv("MKL_NUM_THREADS", "5", 1);
  const auto mkl = [](int) { return variable("MKL_NUM_THREADS"); };
  const WorkerOptions fresh{.env = {{"NESTING_TEST", "1"}}};
  CHECK(Parallel({.n_jobs = 2, .backend = "spawn", .workers = fresh}).map(std::vector{1}, mkl)[0] ==
        "5");
  CHECK(Parallel({.n_jobs = 2, .backend = "spawn", .inner_max_num_threads = 3, .workers = fresh})
            .map(std::vector{1}, mkl)[0] == "3");
  ::unsetenv("MKL_NUM_THREADS");
}
