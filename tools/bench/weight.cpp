// SPDX-License-Identifier: BSD-3-Clause
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "bench.hpp"

// What a program pays for including hoist: seconds of the compiler at -O2 beside other libraries'
// headers, and the size of stripped programs that link the static library.

namespace {

using bench::Goal;

constexpr double missing = std::numeric_limits<double>::quiet_NaN();

bool run(const std::string& command) {
  return std::system((command + " >/dev/null 2>&1").c_str()) == 0;
}

bool compile(const std::string& name) {
  return run(HOIST_BENCH_COMPILER " -std=c++20 -O2 -I" HOIST_BENCH_SOURCES "/include -c " +
             std::string(HOIST_BENCH_SOURCES "/tools/bench/weight/") + name + ".cpp -o " +
             bench::scratch() + "/" + name + ".o");
}

/// Of a program built beside this one, in KB.
double stripped_size(const std::string& name) {
  const auto program = std::filesystem::read_symlink("/proc/self/exe").parent_path() / name;
  const std::string stripped = bench::scratch() + "/" + name;
  if (!run("strip -s -o " + stripped + " " + program.string())) return missing;
  return static_cast<double>(std::filesystem::file_size(stripped)) * 1e-3;
}

void weight() {
  const std::vector<std::string> names = {"map", "everything", "tbb", "dump", "cereal"};
  std::vector<std::function<void()>> works;
  std::vector<bool> compiles;
  for (const std::string& name : names) {
    compiles.push_back(compile(name));
    works.push_back([&name] { compile(name); });
  }
  const auto times = bench::medians(5, works);
  const auto time = [&](std::size_t i) { return compiles[i] ? times[i] : missing; };
  bench::row("compile parallel.hpp, one map", "s", time(0), "oneTBB, one parallel_for", time(2),
             Goal::at_most, 0.92);
  bench::row("compile hoist.hpp", "s", time(1), "oneTBB, one parallel_for", time(2), Goal::at_most,
             1.35);
  bench::row("compile dump.hpp, dump and load", "s", time(3), "cereal", time(4), Goal::at_most, 1);
  bench::row("program with one map", "KB", stripped_size("hoist_weight_map"), "limit", 300,
             Goal::at_most, 1);
  bench::row("program with hoist.hpp alone", "KB", stripped_size("hoist_weight_everything"),
             "limit", 40, Goal::at_most, 1);
}

const bench::Group group("weight", weight);

}  // namespace
