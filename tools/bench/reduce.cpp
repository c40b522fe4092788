// SPDX-License-Identifier: BSD-3-Clause
//
// Reductions compared with oneTBB and OpenMP.

#include <hoist/parallel.hpp>

#include <tbb/blocked_range.h>
#include <tbb/parallel_reduce.h>

#include <cmath>
#include <cstddef>
#include <functional>
#include <ranges>
#include <string>
#include <vector>

#include "bench.hpp"

namespace {

using hoist::Parallel;

constexpr int cores = 2;

/// A row of the medians of hoist, oneTBB and OpenMP, in this order.
void compare(const std::string& work, const std::vector<double>& times) {
  const bool tbb_is_best = times[1] < times[2];
  bench::row(work, "ms", times[0] * 1e3, tbb_is_best ? "oneTBB" : "OpenMP",
             (tbb_is_best ? times[1] : times[2]) * 1e3, bench::Goal::at_most, 1.1);
}

void sum_doubles(const std::string& work, std::size_t n, int repeats) {
  const std::vector<double> values(n, 0.5);
  const Parallel parallel({.n_jobs = cores});
  const auto repeat = [repeats](auto&& sum) {
    return [sum, repeats] {
      for (int i = 0; i < repeats; ++i) bench::keep(sum());
    };
  };
  compare(work,
          bench::medians(
              7, {repeat([&] { return parallel.reduce(values, 0.0, std::plus()); }), repeat([&] {
                    return tbb::parallel_reduce(
                        tbb::blocked_range<const double*>(values.data(), values.data() + n), 0.0,
                        [](const auto& range, double sum) {
                          for (const double value : range) sum += value;
                          return sum;
                        },
                        std::plus());
                  }),
                  repeat([&] {
                    double sum = 0;
#pragma omp parallel for reduction(+ : sum) num_threads(cores)
                    for (std::size_t i = 0; i < n; ++i) sum += values[i];
                    return sum;
                  })}));
}

/// Arithmetic on numbers that are nowhere in memory.
void map_and_sum() {
  constexpr int n = 20'000'000;
  const auto f = [](int i) { return std::sqrt(static_cast<double>(i)); };
  const Parallel parallel({.n_jobs = cores});
  compare(
      "sum of 2*10^7 square roots",
      bench::medians(
          7, {[&] { bench::keep(parallel.reduce(std::views::iota(0, n), 0.0, std::plus(), f)); },
              [&] {
                bench::keep(tbb::parallel_reduce(
                    tbb::blocked_range<int>(0, n), 0.0,
                    [&](const auto& range, double sum) {
                      for (int i = range.begin(); i != range.end(); ++i) sum += f(i);
                      return sum;
                    },
                    std::plus()));
              },
              [&] {
                double sum = 0;
#pragma omp parallel for reduction(+ : sum) num_threads(cores)
                for (int i = 0; i < n; ++i) sum += f(i);
                bench::keep(sum);
              }}));
}

void reductions() {
  sum_doubles("sum of 10^8 doubles", 100'000'000, 1);
  sum_doubles("100 sums of 10^6 doubles", 1'000'000, 100);
  map_and_sum();
}

const bench::Group group("futures", reductions);

}  // namespace
