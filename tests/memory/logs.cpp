// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>
#include <hoist/memory.hpp>

#include <string>

#include "support/temp_dir.hpp"

using hoist::Memory;
using hoist::OnStoreError;
using support::TempDir;

namespace {

double half_of(int x) { return x / 2.0; }

/// The text written to stderr meanwhile.
std::string logged(const auto& work) {
  const TempDir dir;
  const int file = ::open((dir / "log").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
  const int saved = ::dup(STDERR_FILENO);
  ::dup2(file, STDERR_FILENO);
  work();
  ::dup2(saved, STDERR_FILENO);
  ::close(saved);
  ::close(file);
  return support::slurp(dir / "log");
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("what is told at which verbosity") {
  for (const int verbose : {0, 1, 2, 10}) {
    CAPTURE(verbose);
    const TempDir dir;
    const Memory memory(dir.path(), {.verbose = verbose});
    const auto cached = memory.cache(half_of);
    const std::string miss = logged([&] { cached(7); });
    CHECK(has(miss, "[hoist] calling half_of(7)\n") == (verbose >= 1));
    CHECK(has(miss, "[hoist] half_of took ") == (verbose >= 1));
    CHECK(has(miss, "[hoist] stored half_of-") == (verbose >= 10));
    const std::string hit = logged([&] { cached(7); });
    CHECK(hit == (verbose >= 2 ? "[hoist] found half_of(7)\n" : ""));
    for (const auto& file : std::filesystem::recursive_directory_iterator(dir.path())) {
      if (file.path().extension() == ".hoist" && file.is_regular_file())
        support::spill(file.path(), "rubbish");
    }
    CHECK(has(logged([&] { cached(7); }), "an entry of half_of is of no use") == (verbose >= 1));
  }
  // A function's own verbosity takes precedence over the Memory's.
  const TempDir dir;
  const Memory memory(dir.path(), {.verbose = 10});
  CHECK(logged([&] { memory.cache(half_of, {.verbose = 0})(7); }).empty());
  CHECK(has(logged([&] { Memory().cache(half_of, {.verbose = 1})(7); }), "calling half_of(7)"));
}

TEST_CASE("what can't be stored is told once, thrown, or ignored") {
  const TempDir dir;
  support::spill(dir / "file", "in the way");
  const auto location = dir / "file/cache";
  const Memory warning(location);
  const std::string text = logged([&] {
    for (int i = 0; i < 5; ++i) CHECK(warning.cache(half_of)(i) == i / 2.0);
  });
  CHECK(has(text, "a result of half_of could not be stored"));
  CHECK(has(text, "file"));
  CHECK(std::count(text.begin(), text.end(), '\n') == 1);
  CHECK(warning.stats().errors == 5);
  CHECK(warning.stats().stored == 0);
  const Memory failing(location, {.on_store_error = OnStoreError::fail});
  CHECK(logged([&] { CHECK_THROWS_AS(failing.cache(half_of)(1), hoist::SystemError); }).empty());
  const Memory silent(location, {.on_store_error = OnStoreError::ignore});
  CHECK(logged([&] { CHECK(silent.cache(half_of)(1) == 0.5); }).empty());
  CHECK(silent.stats().errors == 1);
}

TEST_CASE("functions go by the names people call them") {
  const TempDir dir;
  const Memory memory(dir.path());
  struct Scale {
    double operator()(double x) const { return 2 * x; }
  };
  CHECK(memory.cache(half_of).name() == "half_of");
  CHECK_FALSE(memory.cache([](int x) { return x; }).name().empty());  // compilers name them
  CHECK_FALSE(has(memory.cache([](int x) { return x; }).name(), "operator"));
  CHECK(has(memory.cache(Scale()).name(), "Scale"));
  CHECK(memory.cache(half_of, {.name = "mine"}).name() == "mine");
}
