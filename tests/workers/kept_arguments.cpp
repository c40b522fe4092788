// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/parallel.hpp>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

using namespace hoist;

namespace {

/// Counts, per process, how many were decoded and how many copied.
struct Name {
  Name() { ++made; }
  explicit Name(std::string given) : text(std::move(given)) {}
  Name(const Name& other) : text(other.text) { ++copied; }
  Name(Name&&) = default;
  Name& operator=(const Name&) = default;
  Name& operator=(Name&&) = default;
  template <class Ar>
  void serialize(Ar& ar) {
    ar(text);
  }

  std::string text;
  static inline std::size_t made = 0;
  static inline std::size_t copied = 0;
};

constexpr std::size_t many = 60'000;  // names: 2 MiB

std::vector<Name> names(const std::string& prefix) {
  std::vector<Name> made;
  made.reserve(many);
  for (std::size_t i = 0; i < many; ++i) {
    made.emplace_back(prefix + std::to_string(i) + std::string(30, '-'));
  }
  return made;
}

struct Seen {
  std::string first;
  std::size_t made = 0;
  std::size_t copied = 0;
};

Seen read_names(const std::vector<Name>& given) {
  return {given.front().text, Name::made, Name::copied};
}
Seen rename_first(std::vector<Name> given) {
  const Seen seen{given.front().text, Name::made, Name::copied};
  given.front().text = "written";
  return seen;
}

/// One worker, which no other loop uses.
Parallel one_worker() {
  static int loops = 0;
  return Parallel({.n_jobs = 1,
                   .backend = "spawn",
                   .workers = {.env = {{"HOIST_TEST_LOOP", std::to_string(++loops)}}}});
}

template <class F, class Argument>
std::vector<Seen> five_times(F f, const Argument& argument) {
  std::vector<decltype(delayed(f)(argument))> calls;
  for (int i = 0; i < 5; ++i) calls.push_back(delayed(f)(argument));
  return one_worker()(std::move(calls));
}

}  // namespace

TEST_CASE("a worker decodes a large argument once, for all tasks that read an equal one") {
  const std::vector<Name> given = names("name ");
  for (const Seen& seen : five_times(read_names, std::cref(given))) {
    CHECK(seen.first == given.front().text);
    CHECK(seen.made == many);
    CHECK(seen.copied == 0);
  }
  for (const Seen& seen : five_times(read_names, given)) CHECK(seen.made == many);
  const auto lambda = [](const std::vector<Name>& all) { return read_names(all); };
  for (const Seen& seen : five_times(lambda, given)) CHECK(seen.made == many);
}

TEST_CASE("a task that takes its argument by value has one of its own") {
  const std::vector<Name> given = names("name ");
  for (const Seen& seen : five_times(rename_first, given)) CHECK(seen.first == given.front().text);
  for (const Seen& seen : five_times(rename_first, std::cref(given))) {
    CHECK(seen.first == given.front().text);
  }
}

namespace {

/// Copies share the cells.
struct Grid {
  std::shared_ptr<std::vector<std::string>> cells;
  template <class Ar>
  void serialize(Ar& ar) {
    if (!cells) cells = std::make_shared<std::vector<std::string>>();
    ar(*cells);
  }
};
// NOLINTNEXTLINE(performance-unnecessary-value-param): a value of its own is what is tested
std::string overwrite(Grid grid) { return std::exchange(grid.cells->front(), "written"); }

}  // namespace

TEST_CASE("what a task writes through its own value does not reach the next task") {
  const Grid grid{std::make_shared<std::vector<std::string>>(60'000, std::string(30, 'x'))};
  std::vector<decltype(delayed(overwrite)(std::cref(grid)))> calls;
  for (int i = 0; i < 4; ++i) calls.push_back(delayed(overwrite)(std::cref(grid)));
  for (const std::string& seen : one_worker()(std::move(calls)))
    CHECK(seen == std::string(30, 'x'));
}

TEST_CASE("arguments that differ are told apart") {
  std::vector<std::vector<Name>> given;
  for (int i = 0; i < 12; ++i) given.push_back(names("name "));
  for (std::size_t i = 0; i < given.size(); ++i) given[i].back().text.back() = char('a' + i);
  const auto ends =
      Parallel({.n_jobs = 2, .backend = "spawn"}).map(given, [](const std::vector<Name>& all) {
        return all.back().text;
      });
  for (std::size_t i = 0; i < given.size(); ++i) CHECK(ends[i] == given[i].back().text);
}

namespace {

/// Aligned members have gaps in memory; the vector of them is one block where it is encoded.
struct Padded {
  double value = 0;
  char mark = 0;
};
struct Table {
  std::vector<Padded> rows;
  std::vector<std::string> titles;
};

double row(const Table& table, std::size_t i) {
  return table.rows[i].value + static_cast<double>(table.titles[i].size());
}

struct Weights {
  std::vector<std::string> names;
  Array<double> values;
};

double add_one(const Weights& weights) {
  Array<double> handle = weights.values;
  return handle[0] += 1;
}

using Words = std::shared_ptr<std::vector<std::string>>;
bool same(const Words& a, const Words& b) { return a == b && a->front() == "word"; }

}  // namespace

TEST_CASE("blocks inside a large argument arrive in it") {
  Table table;
  for (std::size_t i = 0; i < 100'000; ++i) {
    table.rows.push_back({static_cast<double>(i), 'x'});
    table.titles.emplace_back(i % 7, 't');
  }
  std::vector<decltype(delayed(row)(std::cref(table), std::size_t{}))> calls;
  for (std::size_t i = 0; i < 50; ++i) calls.push_back(delayed(row)(std::cref(table), i * 1000));
  const auto results = Parallel({.n_jobs = 2, .backend = "spawn"})(std::move(calls));
  for (std::size_t i = 0; i < 50; ++i) CHECK(results[i] == row(table, i * 1000));
}

TEST_CASE("what a task writes to an array inside a large argument stays its own") {
  Weights weights{std::vector<std::string>(100'000, "a name of some length"),
                  Array<double>({1 << 18})};
  std::vector<decltype(delayed(add_one)(std::cref(weights)))> calls;
  for (int i = 0; i < 6; ++i) calls.push_back(delayed(add_one)(std::cref(weights)));
  for (const double sum : one_worker()(std::move(calls))) CHECK(sum == 1);
}

TEST_CASE("arguments that share an object still share it where they are large") {
  const auto words = std::make_shared<std::vector<std::string>>(200'000, "word");
  const auto [first, second] =
      one_worker()(delayed(same)(words, words), delayed(same)(words, words));
  CHECK(first);
  CHECK(second);
}

TEST_CASE("without shared memory large arguments arrive in the message") {
  const std::vector<Name> given = names("name ");
  const auto seen = Parallel({.n_jobs = 2, .backend = "spawn", .max_nbytes = std::nullopt})(
      delayed(read_names)(std::cref(given)), delayed(read_names)(std::cref(given)));
  CHECK(std::get<0>(seen).first == given.front().text);
  CHECK(std::get<1>(seen).first == given.front().text);
}
