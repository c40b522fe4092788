// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/backend.hpp>
#include <hoist/error.hpp>
#include <hoist/parallel.hpp>

#include <algorithm>

using namespace hoist;

TEST_CASE("joblib's names of backends are understood, but are not names of their own") {
  for (const auto& [alias, name] :
       {std::pair("loky", "spawn"), std::pair("threading", "threads"),
        std::pair("local", "threads"), std::pair("multiprocessing", "fork")}) {
    CAPTURE(alias);
    CHECK(find_backend(alias) == find_backend(name));
    CHECK(Parallel({.n_jobs = 2, .backend = alias}).map(std::vector{1, 2}, [](int x) {
      return 2 * x;
    }) == std::vector{2, 4});
    const auto names = backend_names();
    CHECK(std::ranges::find(names, alias) == names.end());
    CHECK_THROWS_AS(register_backend(alias, [] { return find_backend("threads"); }), BadArgument);
  }
}
