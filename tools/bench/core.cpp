// SPDX-License-Identifier: BSD-3-Clause
#include <fcntl.h>
#include <tbb/parallel_for.h>
#include <unistd.h>
#include <xxhash.h>
#include <hoist/array.hpp>
#include <hoist/dump.hpp>
#include <hoist/hash.hpp>
#include <hoist/parallel.hpp>

#include <ranges>
#include <stdexcept>

#include "bench.hpp"

namespace {

using hoist::Array;

constexpr std::size_t mib = std::size_t{1} << 20;

Array<double> random_walk(std::size_t bytes) {
  auto walk = Array<double>::uninitialized({bytes / sizeof(double)});
  double at = 0;
  std::uint64_t state = 1;
  for (double& value : walk) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    at += static_cast<double>(static_cast<std::int64_t>(state)) * 0x1p-63;
    value = at;
  }
  return walk;
}

void raw_write(const std::string& path, const Array<double>& values) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0666);
  const char* at = reinterpret_cast<const char*>(values.data());
  for (std::size_t left = values.nbytes(); left > 0;) {
    const ssize_t n = ::write(fd, at, std::min<std::size_t>(left, 4 * mib));
    if (n <= 0) throw std::runtime_error("write failed");
    at += n;
    left -= static_cast<std::size_t>(n);
  }
  ::close(fd);
}

void run() {
  {
    const Array<double> values = random_walk(256 * mib);
    XXH128_hash_t raw{};
    const auto t = bench::medians(9, {[&] { bench::keep(hoist::hash(values)); },
                                      [&] {
                                        raw = XXH3_128bits(values.data(), values.nbytes());
                                        bench::keep(raw);
                                      }});
    const double gb = static_cast<double>(values.nbytes()) / 1e9;
    bench::row("hash of 256 MiB of float64", "GB/s", gb / t[0], "XXH3-128 (libxxhash)", gb / t[1],
               bench::Goal::at_least, 0.8);
  }
  {
    const Array<double> values = random_walk(1024 * mib);
    const std::string ours = bench::scratch() + "/ours.hoist", raw = bench::scratch() + "/raw";
    const auto clear = [&] {
      ::unlink(ours.c_str());
      ::unlink(raw.c_str());
    };
    std::vector<double> a, b;
    for (int i = 0; i < 6; ++i) {
      clear();
      const double time = bench::seconds([&] { hoist::dump(values, ours); });
      ::unlink(ours.c_str());
      const double limit = bench::seconds([&] { raw_write(raw, values); });
      if (i > 0) a.push_back(time), b.push_back(limit);
    }
    clear();
    const double gb = static_cast<double>(values.nbytes()) / 1e9;
    bench::row("dump of 1 GiB, uncompressed", "GB/s", gb / bench::median(a), "write(2), fresh file",
               gb / bench::median(b), bench::Goal::at_least, 0.85);
  }
  {
    const hoist::Parallel parallel;
    const auto t = bench::medians(
        31,
        {[&] { parallel.for_each(std::views::iota(0, 1000000), [](int i) { bench::keep(i); }); },
         [] { tbb::parallel_for(0, 1000000, [](int i) { bench::keep(i); }); }});
    bench::row("for_each of 10^6 empty tasks on threads", "us", t[0] * 1e6,
               "oneTBB parallel_for, auto", t[1] * 1e6, bench::Goal::at_most, 2);
  }
}

const bench::Group group("core", run);

}  // namespace
