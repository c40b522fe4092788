// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/codec.hpp>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "support/temp_dir.hpp"

namespace {

struct Row {
  std::string features, metric;
  int k = 0, correct = 0;
  double accuracy = 0;
  bool operator==(const Row&) const = default;
};

struct Output {
  int status = -1;
  std::string text;
};

Output grid_search(const support::TempDir& dir, const std::string& arguments) {
  const std::string command = std::string(HOIST_BIN_DIR) + "/grid_search --cache " +
                              (dir / "cache").string() + " " + arguments + " 2>&1";
  Output output;
  FILE* pipe = ::popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::array<char, 4096> buffer;
  while (const std::size_t n = std::fread(buffer.data(), 1, buffer.size(), pipe)) {
    output.text.append(buffer.data(), n);
  }
  output.status = ::pclose(pipe);
  return output;
}

std::vector<Row> rows(const Output& output) {
  REQUIRE(output.status == 0);
  std::istringstream lines(output.text);
  std::string line;
  std::getline(lines, line);
  REQUIRE(line == "features,metric,k,correct,mean_accuracy");
  std::vector<Row> result;
  while (std::getline(lines, line)) {
    std::replace(line.begin(), line.end(), ',', ' ');
    std::istringstream fields(line);
    Row row;
    fields >> row.features >> row.metric >> row.k >> row.correct >> row.accuracy;
    REQUIRE(fields);
    result.push_back(row);
  }
  return result;
}

struct Image {
  std::array<int, 64> pixels;
  int label;
};

std::vector<Image> images() {
  std::istringstream text(
      hoist::read_file(HOIST_SOURCE_DIR "/docs/examples/grid_search/digits.csv.gz"));
  std::vector<Image> all;
  for (std::string line; std::getline(text, line);) {
    std::replace(line.begin(), line.end(), ',', ' ');
    std::istringstream numbers(line);
    Image image{};
    for (int& pixel : image.pixels) numbers >> pixel;
    numbers >> image.label;
    REQUIRE(numbers);
    all.push_back(image);
  }
  return all;
}

/// The search written the slow and obvious way, sharing no code with the example.
std::vector<Row> reference(const std::vector<Image>& all) {
  std::vector<Row> result;
  const std::size_t n = all.size();
  for (const std::string metric : {"euclidean", "manhattan", "chebyshev"}) {
    std::vector<Row> of_metric;
    for (const int k : {1, 3, 5, 7, 9}) of_metric.push_back({"raw", metric, k, 0, 0});
    std::size_t begin = 0;
    for (std::size_t fold = 0; fold < 5; ++fold) {
      const std::size_t end = begin + n / 5 + (fold < n % 5 ? 1 : 0);
      std::array<int, 5> correct{};
      for (std::size_t test = begin; test < end; ++test) {
        std::vector<std::pair<int, std::size_t>> order;
        for (std::size_t other = 0; other < n; ++other) {
          if (other >= begin && other < end) continue;
          int squares = 0, sum = 0, largest = 0;
          for (std::size_t i = 0; i < 64; ++i) {
            const int difference = std::abs(all[test].pixels[i] - all[other].pixels[i]);
            squares += difference * difference;
            sum += difference;
            largest = std::max(largest, difference);
          }
          order.emplace_back(metric == "euclidean"   ? squares
                             : metric == "manhattan" ? sum
                                                     : largest,
                             other);
        }
        std::partial_sort(order.begin(), order.begin() + 9, order.end());
        for (std::size_t i = 0; i < 5; ++i) {
          std::array<int, 10> votes{};
          for (int j = 0; j < of_metric[i].k; ++j) {
            ++votes[static_cast<std::size_t>(all[order[static_cast<std::size_t>(j)].second].label)];
          }
          int best = 0;
          for (int label = 1; label < 10; ++label) {
            if (votes[static_cast<std::size_t>(label)] > votes[static_cast<std::size_t>(best)])
              best = label;
          }
          correct[i] += best == all[test].label ? 1 : 0;
        }
      }
      for (std::size_t i = 0; i < 5; ++i) {
        of_metric[i].correct += correct[i];
        of_metric[i].accuracy +=
            static_cast<double>(correct[i]) / static_cast<double>(end - begin) / 5;
      }
      begin = end;
    }
    result.insert(result.end(), of_metric.begin(), of_metric.end());
  }
  return result;
}

}  // namespace

TEST_CASE("the raw counts are those of an independent reference; cached runs repeat them") {
  const support::TempDir dir;
  const std::vector<Row> computed = rows(grid_search(dir, "--csv"));
  REQUIRE(computed.size() == 30);
  const std::vector<Row> expected = reference(images());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    CAPTURE(i);
    CHECK(computed[i].features == "raw");
    CHECK(computed[i].metric == expected[i].metric);
    CHECK(computed[i].k == expected[i].k);
    CHECK(computed[i].correct == expected[i].correct);
    CHECK(computed[i].accuracy == doctest::Approx(expected[i].accuracy).epsilon(1e-6));
  }
  CHECK(rows(grid_search(dir, "--csv")) == computed);
  CHECK(grid_search(dir, "").text.find("150 answered from the cache") != std::string::npos);
}

TEST_CASE("every backend and number of jobs gives the same table") {
  const support::TempDir first;
  const std::vector<Row> expected = rows(grid_search(first, "--csv --n-jobs 1"));
  for (const char* arguments :
       {"--csv --backend sequential", "--csv --backend threads --n-jobs 3"}) {
    CAPTURE(arguments);
    const support::TempDir dir;
    CHECK(rows(grid_search(dir, arguments)) == expected);
  }
}

TEST_CASE("bad input ends with a message, not a crash") {
  const support::TempDir dir;
  const Output backend = grid_search(dir, "--backend teleport");
  CHECK(backend.status != 0);
  CHECK(backend.text.find("teleport") != std::string::npos);
  const Output file = grid_search(dir, "--data /no/such/file");
  CHECK(file.status != 0);
  CHECK(file.text.find("/no/such/file") != std::string::npos);
  support::spill(dir / "bad.csv", "1,2,3\n");
  CHECK(grid_search(dir, "--data " + (dir / "bad.csv").string()).text.find("row 1") !=
        std::string::npos);
}
