// SPDX-License-Identifier: BSD-3-Clause
#include <Zydis/Zydis.h>
#include <hoist/array.hpp>
#include <hoist/code.hpp>
#include <hoist/memory.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <limits>
#include <mutex>
#include <numeric>
#include <string>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "bench.hpp"

#define XXH_INLINE_ALL
#include <xxhash.h>

using hoist::Array;
using hoist::Memory;
using hoist::MmapMode;

namespace {

constexpr std::size_t large = (std::size_t{100} << 20) / sizeof(double);

double small(int x) { return x + 0.5; }
double use(const Array<const double>& values) { return values[values.size() / 2]; }

template <class T>
Array<T> produce(int seed) {
  auto values = Array<std::remove_const_t<T>>::uninitialized({large});
  for (std::size_t i = 0; i < large; ++i) values[i] = static_cast<double>(i) + seed;
  return values;
}

int slow(int x) {
  std::this_thread::sleep_for(std::chrono::seconds(1));
  return x;
}

volatile int opaque_number = 3;

/// A tree of a thousand functions.
template <int n>
struct Tree {
  [[gnu::noinline]] static int call(int x) {
    int sum = x;
    if constexpr (2 * n <= 1000) sum += Tree<2 * n>::call(x + n);
    if constexpr (2 * n + 1 <= 1000) sum ^= Tree<2 * n + 1>::call(x - n);
    for (int i = 0; i < opaque_number; ++i) sum = sum * 31 + (opaque_number ^ n ^ i);
    return sum ^ (n * 7);
  }
};

/// Where the files of the benchmarks of small entries are: ext4 creates files up to 15 times slower
/// soon after many deletions, which tmpfs does not.
std::string fresh(const std::string& name) {
  static int count = 0;
  static const bool in_memory = ::access("/dev/shm", W_OK) == 0;
  static const std::string base =
      in_memory ? "/dev/shm/hoist-bench-" + std::to_string(::getpid()) : bench::scratch();
  static const struct Sweep {
    ~Sweep() {
      std::error_code ignored;
      if (in_memory) std::filesystem::remove_all(base, ignored);
    }
  } sweep;
  const std::string path = base + "/" + name + std::to_string(count++);
  std::filesystem::create_directories(path);
  return path;
}

void write_file(const std::string& path, const std::string& bytes) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  bench::keep(::write(fd, bytes.data(), bytes.size()));
  ::close(fd);
}

double at(const std::vector<double>& values, std::size_t i) {
  return i < values.size() ? values[i] : std::numeric_limits<double>::quiet_NaN();
}

const char* const python_small = R"(
import sys, time, tempfile, shutil, warnings
warnings.filterwarnings('ignore')
def median(f, n):
    times = []
    for _ in range(n):
        t = time.perf_counter(); f(); times.append(time.perf_counter() - t)
    return sorted(times)[n // 2]
base = tempfile.mkdtemp(dir='/dev/shm')
try:
    from joblib import Memory
    def small(x): return x + 0.5
    cached = Memory(base, verbose=0).cache(small)
    cached(1)
    print(median(lambda: cached(1), 3000))
    it = iter(range(10, 10**6))
    print(median(lambda: cached(next(it)), 1000))
    try:
        import diskcache
        cached = diskcache.Cache(base + '/dc').memoize()(small)
        cached(1)
        print(median(lambda: cached(1), 5000))
    except ImportError:
        print('nan')
finally:
    shutil.rmtree(base)
)";

const char* const python_large = R"(
import sys, time, tempfile, shutil, warnings
warnings.filterwarnings('ignore')
import numpy as np
from joblib import Memory
def median(f, n):
    times = []
    for _ in range(n):
        t = time.perf_counter(); f(); times.append(time.perf_counter() - t)
    return sorted(times)[n // 2]
base = tempfile.mkdtemp(dir='%s')
try:
    x = np.arange(13107200, dtype=np.float64)
    def use(x): return float(x[5])
    def produce(seed): return np.arange(13107200, dtype=np.float64) + seed
    m = Memory(base, verbose=0)
    cached = m.cache(use); cached(x)
    print(median(lambda: cached(x), 5))
    cached = m.cache(produce); cached(1)
    print(median(lambda: cached(1), 9))
    mapped = Memory(base + '/m', verbose=0, mmap_mode='r').cache(produce); mapped(1)
    print(median(lambda: mapped(1), 99))
finally:
    shutil.rmtree(base)
)";

void small_hits() {
  const std::string directory = fresh("hit");
  const std::string file = directory + "/plain";
  write_file(file, std::string(1024, 'x'));
  const Memory memory(directory + "/cache");
  const auto cached = memory.cache(small);
  cached(1);
  const Memory hot_memory(directory + "/cache", {.hot_bytes = "1M"});
  const auto hot = hot_memory.cache(small);
  hot(1);
  // The minimal look-up of a result in memory by the digest of its arguments, for many threads.
  std::mutex mutex;
  std::unordered_map<std::string, std::string> table;
  const auto key_of = [](int x) {
    const XXH128_hash_t digest = XXH3_128bits(&x, sizeof x);
    return std::string(reinterpret_cast<const char*>(&digest), sizeof digest);
  };
  table[key_of(1)] = std::string(64, 'x');
  constexpr int n = 20000;
  const auto times = bench::medians(9, {[&] {
                                          char buffer[2048];
                                          for (int i = 0; i < n; ++i) {
                                            const int fd =
                                                ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
                                            bench::keep(::pread(fd, buffer, sizeof buffer, 0));
                                            ::close(fd);
                                          }
                                        },
                                        [&] {
                                          for (int i = 0; i < n; ++i) bench::keep(cached(1));
                                        },
                                        [&] {
                                          for (int i = 0; i < n; ++i) bench::keep(hot(1));
                                        },
                                        [&] {
                                          for (int i = 0; i < n; ++i) {
                                            const std::lock_guard lock(mutex);
                                            bench::keep(std::string(table.find(key_of(1))->second));
                                          }
                                        }});
  const double ours = times[1] / n * 1e6;
  const auto peers = bench::python(python_small);
  bench::row("hit, small, disk", "us", ours, "open+pread+close 1 KiB", times[0] / n * 1e6,
             bench::Goal::at_most, 3.5);
  bench::row("hit, small, disk", "us", ours, "joblib", at(peers, 0) * 1e6, bench::Goal::at_most,
             1.0 / 9);
  bench::row("hit, small, disk", "us", ours, "diskcache", at(peers, 2) * 1e6, bench::Goal::at_most,
             1 / 2.5);
  bench::row("hit, hot_bytes", "ns", times[2] / n * 1e9, "XXH3, mutex, unordered_map",
             times[3] / n * 1e9, bench::Goal::at_most, 3);

  // The directories for the first two digits of the keys are made beforehand, as they are in any
  // cache of more than some hundred entries.
  const Memory store(fresh("miss"));
  const auto miss = store.cache(small);
  int next = 0;
  for (; next < 5000; ++next) miss(next);
  const std::string plain = fresh("plain");
  const std::string content(1024, 'x');
  int count = 0;
  constexpr int m = 2000;
  const auto misses = bench::medians(9, {[&] {
                                           for (int i = 0; i < m; ++i) {
                                             const std::string name =
                                                 plain + "/" + std::to_string(count++);
                                             write_file(name + ".tmp", content);
                                             ::rename((name + ".tmp").c_str(), name.c_str());
                                           }
                                         },
                                         [&] {
                                           for (int i = 0; i < m; ++i) bench::keep(miss(next++));
                                         }});
  bench::row("miss, small", "us", misses[1] / m * 1e6, "create+write+rename", misses[0] / m * 1e6,
             bench::Goal::at_most, 3);
  bench::row("miss, small", "us", misses[1] / m * 1e6, "joblib", at(peers, 1) * 1e6,
             bench::Goal::at_most, 1 / 3.5);
}

void large_values() {
  const std::string directory = bench::scratch() + "/large";
  std::filesystem::create_directories(directory);
  const Memory memory(directory);
  const Memory mapping(directory + "-mapped", {.mmap_mode = MmapMode::read});
  const Array<const double> argument = produce<double>(0);
  const auto using_it = memory.cache(use);
  const auto read = memory.cache(produce<double>);
  const auto mapped = mapping.cache(produce<const double>);
  using_it(argument);
  read(1);
  mapped(1);
  const auto times = bench::medians(
      9, {[&] { bench::keep(XXH3_128bits(argument.data(), argument.nbytes())); },
          [&] { bench::keep(using_it(argument)); }, [&] { bench::keep(read(1).data()); },
          [&] {
            for (int i = 0; i < 100; ++i) bench::keep(mapped(1).data());
          }});
  std::string script = python_large;
  script.replace(script.find("%s"), 2, bench::scratch());
  const auto peers = bench::python(script);
  const double gigabytes = static_cast<double>(argument.nbytes()) / 1e9;
  bench::row("hit, 100 MiB argument", "GB/s", gigabytes / times[1], "raw XXH3-128",
             gigabytes / times[0], bench::Goal::at_least, 0.85);
  bench::row("hit, 100 MiB argument", "ms", times[1] * 1e3, "joblib", at(peers, 0) * 1e3,
             bench::Goal::at_most, 1.0 / 14);
  bench::row("hit, 100 MiB result, mapped", "us", times[3] / 100 * 1e6, "joblib",
             at(peers, 2) * 1e6, bench::Goal::at_most, 1.0 / 8);
  bench::row("hit, 100 MiB result, in memory", "ms", times[2] * 1e3, "joblib", at(peers, 1) * 1e3,
             bench::Goal::at_most, 1 / 1.15);
}

/// The minimum for removing entries: a stat and an unlink of each file.
void stat_and_unlink_all(const std::string& directory) {
  for (const auto& file : std::filesystem::recursive_directory_iterator(directory)) {
    struct stat status{};
    if (::stat(file.path().c_str(), &status) == 0 && S_ISREG(status.st_mode)) {
      ::unlink(file.path().c_str());
    }
  }
}

void many_entries() {
  const char* wanted = std::getenv("HOIST_BENCH_ENTRIES");
  const int many = wanted == nullptr ? 1'000'000 : std::atoi(wanted);
  const Memory few(fresh("few"));
  const Memory all(fresh("many"));
  const auto of_few = few.cache(small);
  const auto of_all = all.cache(small);
  for (int i = 0; i < 100; ++i) of_few(i);
  for (int i = 0; i < many; ++i) of_all(i);
  // The same 100 entries again and again, and 100 others each time: what is compared is the work of
  // a look-up, then what colder caches of the kernel and the processor add.
  constexpr int n = 20000;
  const auto times = bench::medians(9, {[&] {
                                          for (int i = 0; i < n; ++i) bench::keep(of_few(i % 100));
                                        },
                                        [&] {
                                          for (int i = 0; i < n; ++i)
                                            bench::keep(of_all(i % 100 * (many / 100)));
                                        }});
  bench::row("hit among " + std::to_string(many) + " entries", "us", times[1] / n * 1e6,
             "among 100", times[0] / n * 1e6, bench::Goal::at_most, 1.5);
  std::vector<double> reducing;
  std::vector<double> unlinking;
  for (int round = 0; round < 3; ++round) {
    for (const bool ours : {true, false}) {
      const std::string directory = fresh("tenth");
      const Memory tenth(directory);
      const auto of_tenth = tenth.cache(small);
      for (int i = 0; i < many / 10; ++i) of_tenth(i);
      if (ours) {
        reducing.push_back(bench::seconds([&] { tenth.reduce_size({.items_limit = 10}); }));
      } else {
        unlinking.push_back(bench::seconds([&] { stat_and_unlink_all(directory); }));
      }
    }
  }
  bench::row("reduce_size of " + std::to_string(many / 10) + " entries", "s",
             bench::median(reducing), "stat, unlink each", bench::median(unlinking),
             bench::Goal::at_most, 2);
}

void one_computation() {
  const Memory memory(fresh("flight"));
  const auto cached = memory.cache(slow);
  const double alone = bench::seconds([] { bench::keep(slow(7)); });
  std::vector<pid_t> children;
  const double took = bench::seconds([&] {
    for (int i = 0; i < 8; ++i) {
      const pid_t child = ::fork();
      if (child == 0) {
        cached(7);
        ::_exit(static_cast<int>(memory.stats().misses));
      }
      children.push_back(child);
    }
  });
  int computed = 0;
  const double waited = bench::seconds([&] {
    for (const pid_t child : children) {
      int status = 0;
      ::waitpid(child, &status, 0);
      computed += WEXITSTATUS(status);
    }
  });
  bench::row("8 processes, one key, 1 s function", "s", took + waited, "the function", alone,
             bench::Goal::at_most, 1.1);
  bench::row("8 processes, one key", "calls", computed, "limit", 1, bench::Goal::at_most, 1);
}

/// The result of `work` in a child of this process, which has no state from later work.
template <class Result>
Result in_child(const std::function<Result()>& work) {
  Result result{};
  int ends[2];
  if (::pipe(ends) != 0) return result;
  const pid_t child = ::fork();
  if (child == 0) {
    result = work();
    bench::keep(::write(ends[1], &result, sizeof result));
    ::_exit(0);
  }
  ::close(ends[1]);
  bench::keep(::read(ends[0], &result, sizeof result));
  ::close(ends[0]);
  ::waitpid(child, nullptr, 0);
  return result;
}

using TreeSizes = std::array<std::uint16_t, 1000>;

/// In bytes of code, as the fingerprint sees them; 0 for what it does not reach under its own name.
TreeSizes tree_sizes() {
  TreeSizes sizes{};
  for (const hoist::CodeNode& node : hoist::explain(Tree<1>::call).nodes) {
    const std::size_t at = node.name.find("Tree<");
    if (node.kind != hoist::CodeNode::Kind::function || at == std::string::npos) continue;
    const int n = std::atoi(node.name.c_str() + at + 5);
    sizes[static_cast<std::size_t>(n - 1)] = static_cast<std::uint16_t>(node.size);
  }
  return sizes;
}

template <int... n>
std::array<const void*, sizeof...(n)> tree_addresses(std::integer_sequence<int, n...>) {
  return {reinterpret_cast<const void*>(&Tree<n + 1>::call)...};
}

/// One pass over the code of all functions of the tree, and over no other bytes; the number of
/// instructions. Zydis leaves their operands alone, the cheaper of its two ways to decode.
int decode_tree(const TreeSizes& sizes) {
  static const auto addresses = tree_addresses(std::make_integer_sequence<int, 1000>());
  ZydisDecoder decoder;
  ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
  int instructions = 0;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    const auto* at = static_cast<const std::uint8_t*>(addresses[i]);
    for (const auto* const end = at + sizes[i]; at < end; ++instructions) {
      ZydisDecodedInstruction instruction;
      ZydisDecoderContext context;
      if (!ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(
              &decoder, &context, at, static_cast<ZyanUSize>(end - at), &instruction))) {
        return -1;
      }
      at += instruction.length;
    }
  }
  return instructions;
}

void fingerprint() {
  // Both run in new children, so that neither finds its code and tables ready. A child reports the
  // sizes, because this process must not have read the program before.
  const Memory memory(fresh("fingerprint"));
  const auto sizes = in_child<TreeSizes>(tree_sizes);
  const auto reached = std::ranges::count_if(sizes, [](int size) { return size > 0; });
  std::vector<double> ours;
  std::vector<double> of_one;
  std::vector<double> decoding;
  int instructions = 0;
  for (int i = 0; i < 15; ++i) {
    ours.push_back(in_child<double>(
        [&] { return bench::seconds([&] { bench::keep(memory.cache(Tree<1>::call)); }); }));
    of_one.push_back(in_child<double>(
        [&] { return bench::seconds([&] { bench::keep(memory.cache(small)); }); }));
    const auto [took, found] = in_child<std::pair<double, int>>([&] {
      int n = 0;
      const double time = bench::seconds([&] { n = decode_tree(sizes); });
      return std::pair(time, n);
    });
    decoding.push_back(took);
    instructions = found;
  }
  bench::note("fingerprint: " + std::to_string(std::accumulate(sizes.begin(), sizes.end(), 0)) +
              " bytes of code in " + std::to_string(reached) + " functions, " +
              std::to_string(instructions) + " instructions; of a function that reaches none: " +
              std::to_string(std::lround(bench::median(of_one) * 1e6)) + " us");
  bench::row("fingerprint of a function that reaches 1,000", "ms", bench::median(ours) * 1e3,
             "Zydis over the same bytes", bench::median(decoding) * 1e3, bench::Goal::at_most, 2);
}

void run() {
  fingerprint();
  small_hits();
  large_values();
  one_computation();
  many_entries();
}

const bench::Group group("memory", run);
const bench::Group group_fingerprint("memory-fingerprint", fingerprint);

}  // namespace
