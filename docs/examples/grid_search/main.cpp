// SPDX-License-Identifier: BSD-3-Clause
//
// A model search on real data: cached functions in a parallel loop. See README.md beside this file.

#include <CLI/CLI.hpp>
#include <hoist/hoist.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <string>
#include <vector>

#include "digits.hpp"
#include "nearest.hpp"

namespace {

struct Combination {
  Features features = Features::raw;
  Metric metric = Metric::euclidean;
  std::size_t k = 1;
};

struct FoldScore {
  std::size_t correct = 0;
  std::size_t tested = 0;
  bool cached = false;  // the neighbours were in the cache
};

struct Score {
  std::string features;
  std::string metric;
  std::size_t k = 0;
  std::size_t correct = 0;
  double mean_accuracy = 0;
  bool operator==(const Score&) const = default;
};

/// A k-nearest-neighbours model is its training set.
struct Model {
  Combination combination;
  hoist::Array<const float> training;
  std::vector<int> labels;
};

/// One task: the number of images of a fold that a combination labels correctly. Everything it
/// needs is an argument, so it can run in any worker.
FoldScore score_fold(const hoist::Memory& memory, const hoist::Array<const float>& features,
                     const hoist::Digest& features_digest, const std::vector<int>& labels,
                     const Combination& combination, std::size_t fold) {
  // The features are large and the same in 75 tasks, so their digest, taken once, is the key.
  const auto nearest = memory.cache(
      [](const hoist::Array<const float>& images, const hoist::Digest&,
         const std::vector<int>& image_labels, Metric metric,
         std::size_t test_fold) { return nearest_labels(images, image_labels, metric, test_fold); },
      {.name = "nearest_labels", .ignore = {0}});
  FoldScore score;
  score.cached =
      nearest.check_call_in_cache(features, features_digest, labels, combination.metric, fold);
  const hoist::Array<int> neighbours =
      nearest(features, features_digest, labels, combination.metric, fold);
  const std::size_t first = fold_range(labels.size(), fold, folds).first;
  score.tested = neighbours.shape(0);
  for (std::size_t i = 0; i < score.tested; ++i) {
    score.correct += vote(&neighbours(i, 0), combination.k) == labels[first + i] ? 1 : 0;
  }
  return score;
}

std::vector<Combination> grid() {
  std::vector<Combination> combinations;
  for (const Features features : all_features) {
    for (const Metric metric : all_metrics) {
      for (const std::size_t k : all_ks) combinations.push_back({features, metric, k});
    }
  }
  return combinations;
}

struct Options {
  std::filesystem::path data = HOIST_EXAMPLE_DIR "/digits.csv.gz";
  std::filesystem::path cache = "grid_search_cache";
  std::string backend = "threads";
  int n_jobs = -1;
  std::string trace;
  bool csv = false;
};

void print(const std::vector<Score>& scores, bool csv) {
  if (csv) {
    std::puts("features,metric,k,correct,mean_accuracy");
    for (const Score& s : scores) {
      std::printf("%s,%s,%zu,%zu,%.6f\n", s.features.c_str(), s.metric.c_str(), s.k, s.correct,
                  s.mean_accuracy);
    }
    return;
  }
  std::puts("features   metric      k  correct  mean accuracy");
  for (const Score& s : scores) {
    std::printf("%-10s %-10s %2zu  %7zu  %.6f\n", s.features.c_str(), s.metric.c_str(), s.k,
                s.correct, s.mean_accuracy);
  }
}

void run(const Options& options) {
  const auto start = std::chrono::steady_clock::now();
  const Digits digits = read_digits(options.data);
  const hoist::Memory memory{options.cache, {.verbose = 0}};

  const auto build = memory.cache(build_features);
  std::vector<hoist::Array<const float>> features;
  std::vector<hoist::Digest> digests;
  for (const Features kind : all_features) {
    features.push_back(build(digits.images, kind));
    digests.push_back(hoist::hash(features.back()));
  }

  const std::vector<Combination> combinations = grid();
  std::vector<decltype(hoist::delayed(score_fold)(memory, features[0], digests[0], digits.labels,
                                                  combinations[0], std::size_t{0}))>
      tasks;
  for (const Combination& combination : combinations) {
    const auto kind = static_cast<std::size_t>(combination.features);
    for (std::size_t fold = 0; fold < folds; ++fold) {
      tasks.push_back(hoist::delayed(score_fold)(memory, features[kind], digests[kind],
                                                 digits.labels, combination, fold));
    }
  }
  hoist::Parallel parallel{
      {.n_jobs = options.n_jobs, .backend = options.backend, .trace = options.trace}};
  const std::vector<FoldScore> fold_scores = parallel(tasks);

  std::vector<Score> scores;
  std::size_t from_cache = 0;
  for (std::size_t i = 0; i < combinations.size(); ++i) {
    const Combination& c = combinations[i];
    Score score{name_of(c.features), name_of(c.metric), c.k, 0, 0};
    for (std::size_t fold = 0; fold < folds; ++fold) {
      const FoldScore& part = fold_scores[i * folds + fold];
      score.correct += part.correct;
      score.mean_accuracy +=
          static_cast<double>(part.correct) / static_cast<double>(part.tested) / folds;
      from_cache += part.cached ? 1 : 0;
    }
    scores.push_back(score);
  }
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();

  const auto best = std::max_element(
      scores.begin(), scores.end(),
      [](const Score& a, const Score& b) { return a.mean_accuracy < b.mean_accuracy; });
  const Combination& chosen = combinations[static_cast<std::size_t>(best - scores.begin())];
  const Model model{chosen, features[static_cast<std::size_t>(chosen.features)], digits.labels};
  const auto scores_path = options.cache / "scores.hoist",
             model_path = options.cache / "best_model.hoist";
  hoist::dump(scores, scores_path);
  hoist::dump(model, model_path);
  const auto loaded = hoist::load<Model>(model_path, {.mmap = hoist::MmapMode::read});
  if (hoist::load<std::vector<Score>>(scores_path) != scores ||
      hoist::hash(loaded.training, loaded.labels) != hoist::hash(model.training, model.labels)) {
    throw hoist::DamagedData("what was loaded back is not what was dumped");
  }

  print(scores, options.csv);
  if (options.csv) return;
  std::printf("\nbest: %s %s k=%zu, %zu of %zu right, mean accuracy %.6f\n", best->features.c_str(),
              best->metric.c_str(), best->k, best->correct, digits.labels.size(),
              best->mean_accuracy);
  std::printf("%zu tasks in %.3f s on %s; %zu answered from the cache in %s\n", tasks.size(),
              seconds, options.backend.c_str(), from_cache, options.cache.c_str());
  std::printf("scores and model dumped, loaded back (mapped) and verified: %s, %s\n",
              scores_path.c_str(), model_path.c_str());
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Cross-validates k-nearest-neighbours models on handwritten digits.");
  app.add_option("--data", options.data, "CSV file of 64 pixels and a label a row");
  app.add_option("--cache", options.cache, "directory of the cache and the results");
  app.add_option("--backend", options.backend, "where the tasks run: threads, sequential, ...");
  app.add_option("--n-jobs", options.n_jobs, "how many at a time; -1: one a core");
  app.add_option("--trace", options.trace, "file for the loop's trace; hoist trace makes a page");
  app.add_flag("--csv", options.csv, "print machine-readable rows");
  CLI11_PARSE(app, argc, argv);
  try {
    run(options);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "grid_search: %s\n", error.what());
    return 1;
  }
  return 0;
}
