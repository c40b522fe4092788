// SPDX-License-Identifier: BSD-3-Clause
//
// The command line tool: how long it takes, and how much memory.

#include <hoist/array.hpp>
#include <hoist/dump.hpp>
#include <hoist/memory.hpp>
#include <hoist/open_array.hpp>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "bench.hpp"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace {

struct Ran {
  double seconds = 0;
  double mib = 0;  ///< at most in memory
};

/// Runs the tool beside this program with these arguments, its output discarded.
Ran run_tool(std::vector<std::string> arguments) {
  std::string tool = std::filesystem::read_symlink("/proc/self/exe").parent_path() / "hoist";
  arguments.insert(arguments.begin(), tool);
  std::vector<char*> argv;
  for (std::string& one : arguments) argv.push_back(one.data());
  argv.push_back(nullptr);
  const auto start = std::chrono::steady_clock::now();
  const pid_t child = ::fork();
  if (child == 0) {
    const int nowhere = ::open("/dev/null", O_WRONLY);
    ::dup2(nowhere, STDOUT_FILENO);
    ::execv(argv[0], argv.data());
    ::_exit(127);
  }
  int status = 0;
  rusage usage{};
  ::wait4(child, &status, 0, &usage);
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    bench::note("the tool failed: " + arguments[1] + " " + arguments.back());
    return {std::nan(""), std::nan("")};
  }
  return {seconds, static_cast<double>(usage.ru_maxrss) / 1024};
}

Ran median_run(int times, const std::vector<std::string>& arguments) {
  std::vector<double> seconds;
  double mib = 0;
  for (int i = 0; i < times; ++i) {
    const Ran ran = run_tool(arguments);
    seconds.push_back(ran.seconds);
    mib = std::max(mib, ran.mib);
  }
  return {bench::median(seconds), mib};
}

double half(int x) { return x / 2.0; }
hoist::Array<double> block(int seed) {
  auto values = hoist::Array<double>::uninitialized({(std::size_t{64} << 20) / sizeof(double)});
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<double>(i) * seed;
  return values;
}

int setting(const char* name, int otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::atoi(text);
}

void start_up() {
  const Ran help = median_run(15, {"--help"});
  bench::row("hoist --help", "ms", help.seconds * 1e3, "limit", 10, bench::Goal::at_most, 1);
  const std::string sparse = bench::scratch() + "/sparse.npy";
  {
    const auto huge =
        hoist::open_array<double>(sparse, {(std::size_t{100} << 30) / 8}, hoist::MmapMode::write);
  }
  const Ran show = median_run(15, {"show", sparse});
  bench::row("hoist show, 100 GiB sparse .npy", "ms", show.seconds * 1e3, "limit", 50,
             bench::Goal::at_most, 1);
  std::filesystem::remove(sparse);
}

void many_entries() {
  const int many = setting("HOIST_BENCH_ENTRIES", 1'000'000);
  // Not on a disk, which would be measured.
  const std::string root = ::access("/dev/shm", W_OK) == 0
                               ? "/dev/shm/hoist-bench-cli-" + std::to_string(::getpid())
                               : bench::scratch() + "/entries";
  {
    const hoist::Memory memory(root);
    for (int f = 0; f < 10; ++f) {
      const auto cached =
          memory.cache(half, {.name = "function" + std::to_string(f), .version = "1"});
      for (int i = 0; i < many / 10; ++i) cached(i);
    }
  }
  const Ran list = median_run(3, {"cache", "ls", root});
  bench::row("cache ls, " + std::to_string(many) + " entries", "s", list.seconds, "limit", 3,
             bench::Goal::at_most, 1);
  bench::row("cache ls, " + std::to_string(many) + " entries", "MiB", list.mib, "limit", 200,
             bench::Goal::at_most, 1);
  std::filesystem::remove_all(root);
}

void verify() {
  const int blocks = setting("HOIST_BENCH_GIB", 2) * 16;
  const std::string root = bench::scratch() + "/large";
  {
    const hoist::Memory memory(root);
    const auto cached = memory.cache(block);
    for (int i = 0; i < blocks; ++i) cached(i);
  }
  const double gigabytes = blocks * 64.0 * 1048576 / 1e9;
  // What has just been written is in the kernel's memory: the limit is to copy and to check it.
  const auto values = block(1);
  const unsigned threads = std::thread::hardware_concurrency();
  std::vector<double> ours;
  std::vector<double> limit;
  for (int round = 0; round < 3; ++round) {
    ours.push_back(run_tool({"cache", "verify", root}).seconds);
    limit.push_back(bench::seconds([&] {
      std::vector<std::jthread> all;
      for (unsigned t = 0; t < threads; ++t) {
        all.emplace_back([&, t] {
          std::vector<char> buffer(std::size_t{1} << 20);
          unsigned at = 0;
          for (const auto& file : std::filesystem::recursive_directory_iterator(root)) {
            if (!file.is_regular_file() || at++ % threads != t) continue;
            const int fd = ::open(file.path().c_str(), O_RDONLY | O_CLOEXEC);
            for (;;) {
              const ssize_t n = ::read(fd, buffer.data(), buffer.size());
              if (n <= 0) break;
              bench::keep(XXH3_64bits(buffer.data(), static_cast<std::size_t>(n)));
            }
            ::close(fd);
          }
        });
      }
    }));
  }
  bench::row("cache verify", "GB/s", gigabytes / bench::median(ours), "read and XXH3, all cores",
             gigabytes / bench::median(limit), bench::Goal::at_least, 0.8);
  std::filesystem::remove_all(root);
}

void convert() {
  const std::size_t gib = static_cast<std::size_t>(setting("HOIST_BENCH_GIB", 1));
  const std::string npy = bench::scratch() + "/a.npy";
  const std::string packed = bench::scratch() + "/a.hoist.zst";
  const std::string back = bench::scratch() + "/b.npy";
  double dumped = 0;
  {
    auto values = hoist::Array<double>::uninitialized({(gib << 30) / sizeof(double)});
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = std::sqrt(static_cast<double>(i));
    hoist::dump(values, npy);
    dumped = bench::seconds([&] { hoist::dump(values, packed); });
  }
  const Ran there = run_tool({"convert", npy, packed});
  const Ran again = run_tool({"convert", packed, back});
  const double gigabytes = static_cast<double>(gib << 30) / 1e9;
  const std::string what = "convert " + std::to_string(gib) + " GiB .npy to .hoist.zst";
  bench::row(what, "MiB", there.mib, "limit", 256, bench::Goal::at_most, 1);
  bench::row("and back", "MiB", again.mib, "limit", 256, bench::Goal::at_most, 1);
  bench::row(what, "GB/s", gigabytes / there.seconds, "dump", gigabytes / dumped,
             bench::Goal::at_least, 0.9);
  for (const std::string& file : {npy, packed, back}) std::filesystem::remove(file);
}

const bench::Group start_up_group("cli", start_up);
const bench::Group many_group("cli-ls", many_entries);
const bench::Group verify_group("cli-verify", verify);
const bench::Group convert_group("cli-convert", convert);

}  // namespace
