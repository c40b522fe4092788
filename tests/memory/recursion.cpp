// SPDX-License-Identifier: BSD-3-Clause
// ctest-timeout: 300
#include <doctest/doctest.h>
#include <pthread.h>
#include <sys/resource.h>
#include <hoist/memory.hpp>

#include <algorithm>
#include <cstdint>
#include <functional>

#include "support/sanitized.hpp"
#include "support/temp_dir.hpp"

// Cached functions that call themselves, thousands of calls deep.

using hoist::Memory;
using support::TempDir;

namespace {

#ifdef __OPTIMIZE__
constexpr bool is_optimised = !support::sanitized;
#else
constexpr bool is_optimised = false;
#endif

int sum_to(int n);

using Sum = hoist::CachedFunction<int (*)(int)>;
const Sum* cached_sum = nullptr;
std::uintptr_t highest = 0, lowest = 0;

int sum_to(int n) {
  const auto here = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
  highest = std::max(highest, here);
  lowest = std::min(lowest, here);
  return n == 0 ? 0 : (*cached_sum)(n - 1) + n;
}

/// Runs in a thread with a stack of that many bytes.
void with_stack(std::size_t bytes, std::function<void()> work) {
  pthread_attr_t attributes;
  ::pthread_attr_init(&attributes);
  REQUIRE(::pthread_attr_setstacksize(&attributes, bytes) == 0);
  pthread_t thread;
  const auto run = [](void* raw) -> void* {
    (*static_cast<std::function<void()>*>(raw))();
    return nullptr;
  };
  REQUIRE(::pthread_create(&thread, &attributes, run, &work) == 0);
  ::pthread_join(thread, nullptr);
  ::pthread_attr_destroy(&attributes);
}

}  // namespace

TEST_CASE("a cached function may call itself thousands of calls deep") {
  // 4,000 calls overflowed a stack of 8 MiB, and 1,000 took all descriptors for their locks.
  constexpr int depth = 4000;
  constexpr std::size_t per_call = is_optimised ? 700 : 1900;  // 600 are hoist's
  struct rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  struct rlimit limit = before;
  limit.rlim_cur = std::min<rlim_t>(1024, before.rlim_max);
  ::setrlimit(RLIMIT_NOFILE, &limit);
  const TempDir dir;
  const Memory memory(dir.path(), {.on_store_error = hoist::OnStoreError::fail});
  const auto cached = memory.cache(sum_to);
  cached_sum = &cached;
  highest = 0;
  lowest = UINTPTR_MAX;
  with_stack(support::sanitized ? 64 << 20 : depth * per_call + (std::size_t{256} << 10),
             [&] { CHECK(cached(depth) == depth * (depth + 1) / 2); });
  const std::size_t used = (highest - lowest) / depth;
  MESSAGE("bytes of stack for each call: " << used);
  if (is_optimised) CHECK(used <= 600 + 100);  // the function's own frame is the 100
  CHECK(memory.stats().stored == depth + 1);
  CHECK(memory.stats().errors == 0);
  CHECK(cached(depth) == depth * (depth + 1) / 2);
  CHECK(memory.stats().hits == 1);
  ::setrlimit(RLIMIT_NOFILE, &before);
}
