// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/cpu_count.hpp>
#include <hoist/parallel.hpp>

#include <dlfcn.h>

#include <cstdint>
#include <cstdlib>

using namespace hoist;

namespace {

/// The number of threads that a loaded library reports.
struct Library {
  const char* file;
  const char* get;
  const char* set;  // nullptr: has what it starts with
};

constexpr Library openblas{"libopenblas.so.0", "openblas_get_num_threads",
                           "openblas_set_num_threads"};
constexpr Library blis{"libblis.so.4", "bli_thread_get_num_threads", "bli_thread_set_num_threads"};
constexpr Library tbb{"libtbb.so.12", "_ZN3tbb6detail2r127global_control_active_valueEi", nullptr};
constexpr Library openmp{"libgomp.so.1", "omp_get_max_threads", "omp_set_num_threads"};
constexpr Library mkl{HOIST_BIN_DIR "/libmkl_stand_in.so", "MKL_Get_Max_Threads", nullptr};

bool is_set_outside() {
  for (const char* name :
       {"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS"}) {
    if (std::getenv(name) != nullptr) return true;
  }
  return false;
}

/// From version 1 on, BLIS has a number for each thread, which for new ones is its default, 1.
bool blis_counts_by_thread() {
  void* const loaded = ::dlopen(blis.file, RTLD_NOW | RTLD_LOCAL);
  if (loaded == nullptr) return false;
  const auto version =
      reinterpret_cast<const char* (*)()>(::dlsym(loaded, "bli_info_get_version_str"));
  return version != nullptr && version()[0] != '0';
}

/// Loops limit the library and restore its setting. `new_threads_have_1`: whatever others set.
void check_limits(const Library& library, bool new_threads_have_1 = false) {
  CAPTURE(library.file);
  void* const loaded = ::dlopen(library.file, RTLD_NOW | RTLD_LOCAL);
  if (loaded == nullptr) {
    MESSAGE(library.file << " is not installed");
    return;
  }
  // TBB's function takes the number of the parameter; 0 is max_allowed_parallelism.
  const auto get = reinterpret_cast<int (*)(int)>(::dlsym(loaded, library.get));
  REQUIRE(static_cast<bool>(get));
  if (library.set != nullptr) {
    const auto set = reinterpret_cast<void (*)(std::int64_t)>(::dlsym(loaded, library.set));
    REQUIRE(static_cast<bool>(set));
    set(6);
  }
  const int before = get(0);
  const auto ask = [&](int) { return get(0); };
  const auto tasks = std::views::iota(0, 20);
  for (const char* backend : {"threads", "fork"}) {
    CAPTURE(backend);
    // Some libraries have started threads already.
    const ParallelOptions plain{.n_jobs = 2, .backend = backend, .force_fork = true};
    if (!is_set_outside()) {
      const int share = std::min(before, std::max(1, cpu_count() / 2));
      for (const int threads : Parallel(plain).map(tasks, ask)) {
        CHECK((threads == share || (new_threads_have_1 && threads == 1)));
      }
      CHECK(get(0) == before);
    }
    ParallelOptions three = plain;
    three.inner_max_num_threads = 3;
    CHECK(Parallel(three).map(tasks, ask) == std::vector(20, 3));
    CHECK(get(0) == before);
  }
  // When two loops run, the end of the first one does not change the other's limit.
  const auto outer =
      Parallel({.n_jobs = 2, .inner_max_num_threads = 3}).map(std::views::iota(0, 4), [&](int) {
        Parallel({.n_jobs = 2, .inner_max_num_threads = 3}).for_each(tasks, ask);
        return get(0);
      });
  CHECK(outer == std::vector(4, 3));
  CHECK(get(0) == before);
  // The library's default: a limit that nobody set does not raise it.
  CHECK(Parallel({.n_jobs = 1}).map(tasks, ask) == std::vector(20, before));
}

}  // namespace

TEST_CASE("OpenMP is limited inside of tasks") { check_limits(openmp); }
TEST_CASE("OpenBLAS is limited inside of tasks") { check_limits(openblas); }
TEST_CASE("oneTBB is limited inside of tasks") { check_limits(tbb); }
TEST_CASE("MKL is limited inside of tasks, by the functions of its name") { check_limits(mkl); }
// The process's limit had been mistaken for the calling thread's: the first task to end removed the
// others' limit.
TEST_CASE("BLIS is limited inside of tasks") { check_limits(blis, blis_counts_by_thread()); }

TEST_CASE("a library that nobody told a number keeps having none") {
  void* const loaded = ::dlopen(blis.file, RTLD_NOW | RTLD_LOCAL);
  if (loaded == nullptr || is_set_outside() || blis_counts_by_thread()) return;
  const auto get = reinterpret_cast<int (*)()>(::dlsym(loaded, blis.get));
  const auto set = reinterpret_cast<void (*)(std::int64_t)>(::dlsym(loaded, blis.set));
  set(-1);
  Parallel({.n_jobs = 2, .inner_max_num_threads = 3}).for_each(std::views::iota(0, 4), [&](int) {
    CHECK(get() == 3);
  });
  CHECK(get() == -1);
  Parallel({.n_jobs = 2}).for_each(std::views::iota(0, 4), [&](int) { CHECK(get() == -1); });
}
