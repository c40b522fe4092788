// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/memory.hpp>
#include <hoist/parallel.hpp>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "support/temp_dir.hpp"

using hoist::delayed;
using hoist::Memory;
using hoist::Parallel;
using hoist::Shelved;
using support::TempDir;

namespace {

std::vector<int> squares(int n, hoist::ignored<std::string> log) {
  std::ofstream(log.value, std::ios::app) << "c";
  std::vector<int> values;
  for (int i = 0; i < n; ++i) values.push_back(i * i);
  return values;
}

using Cached = decltype(Memory().cache(squares));

int last_of(const Cached& cached, int n, const std::string& log) { return cached(n, log).back(); }
int last_by_memory(const Memory& memory, int n, const std::string& log) {
  return memory.cache(squares)(n, log).back();
}
int last_shelved(const Shelved<std::vector<int>>& shelved) { return shelved.get().back(); }
Shelved<std::vector<int>> shelve(const Cached& cached, int n, const std::string& log) {
  return cached.call_and_shelve(n, log);
}

}  // namespace

TEST_CASE("memories, cached functions and shelved results work in the workers of every backend") {
  for (const char* backend : {"sequential", "threads", "fork", "spawn"}) {
    CAPTURE(backend);
    const TempDir dir;
    const std::string log = dir / "log";
    const Memory memory(dir / "cache");
    const Cached cached = memory.cache(squares);
    Parallel parallel({.n_jobs = 2, .backend = backend});
    std::vector<Shelved<std::vector<int>>> handles;
    for (int n = 1; n <= 4; ++n) handles.push_back(cached.call_and_shelve(n * 100, log));
    // Each result is computed once, whichever process asks for it.
    for (int n = 1; n <= 8; ++n) {
      const auto [one, two, three] = parallel(delayed(last_of)(cached, n * 100, log),
                                              delayed(last_by_memory)(memory, n * 100, log),
                                              delayed(last_of)(cached, 900, log));
      const int last = (n * 100 - 1) * (n * 100 - 1);
      CHECK(one == last);
      CHECK(two == last);
      CHECK(three == 899 * 899);
    }
    CHECK(support::slurp(log).size() == 9);
    const auto lasts = parallel.map(handles, last_shelved);
    CHECK(lasts == std::vector<int>{99 * 99, 199 * 199, 299 * 299, 399 * 399});
    const auto [made, again] =
        parallel(delayed(shelve)(cached, 1000, log), delayed(shelve)(cached, 1000, log));
    CHECK(made.get().size() == 1000);
    CHECK(again.metadata().arguments == "1000, {...}");
    CHECK(support::slurp(log).size() == 10);
  }
}
