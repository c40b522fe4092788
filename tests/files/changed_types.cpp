// SPDX-License-Identifier: BSD-3-Clause
//
// Files of structs that have got or lost members since they were written.
#include <doctest/doctest.h>
#include <hoist/array.hpp>
#include <hoist/dump.hpp>
#include <hoist/error.hpp>
#include <hoist/value.hpp>

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "support/temp_dir.hpp"

using hoist::Array;
using hoist::dump;
using hoist::load;
using hoist::LoadOptions;
using hoist::MissingMembers;
using hoist::UnknownMembers;
using support::TempDir;

namespace {

constexpr LoadOptions keep_default = {.missing_members = MissingMembers::keep_default};
constexpr LoadOptions skip = {.unknown_members = UnknownMembers::skip};

namespace first {
struct Layer {
  int width = 0;
  double rate = 0;
};
struct Point {
  float x = 0;
  float y = 0;
};
struct Model {
  std::string name;
  Layer input;
  std::vector<Layer> layers;
  std::map<std::string, Layer> named;
  std::vector<Point> points;
  Array<Point> grid;
};
struct Node {
  int value = 0;
  std::vector<Node> children;
};
}  // namespace first

namespace second {
Array<double> quarters() {
  Array<double> all({600, 2});
  for (double& value : all.span()) value = 0.25;
  return all;
}
struct Layer {
  double rate = 0;
  std::string activation = "relu";
  int width = 0;
  bool operator==(const Layer&) const = default;
};
struct Point {
  float x = 0;
  float y = 0;
  float z = -1;
  bool operator==(const Point&) const = default;
};
struct Model {
  std::vector<int> version = {2, 1};
  std::string name;
  Layer input = {.rate = 9, .activation = "linear"};
  Layer output = {.rate = 7, .activation = "softmax", .width = 10};
  std::vector<Layer> layers;
  std::map<std::string, Layer> named;
  std::vector<Point> points;
  Array<Point> grid;
  Array<double> weights = quarters();
};
struct Node {
  std::vector<Node> children;
  int value = 0;
  int weight = 5;
};
}  // namespace second

first::Model sample() {
  first::Model model = {"m", {3, 0.5}, {{1, 0.1}, {2, 0.2}}, {{"a", {4, 0.4}}}, {}, {}};
  model.points.assign(1000, {1, 2});
  model.grid = Array<first::Point>({2, 300}, hoist::Order::fortran);
  for (auto& point : model.grid.span()) point = {3, 4};
  return model;
}

}  // namespace

TEST_CASE("members that a file lacks keep their defaults, wherever the struct is") {
  TempDir dir;
  dump(sample(), dir / "model.hoist");
  dump(sample(), dir / "model.hoist.gz");
  for (const char* file : {"model.hoist", "model.hoist.gz"}) {
    CAPTURE(file);
    const auto model = load<second::Model>(dir / file, keep_default);
    CHECK(model.version == std::vector<int>{2, 1});
    CHECK(model.name == "m");
    CHECK(model.output == second::Layer{7, "softmax", 10});
    // What a struct is inside another one has its own defaults, as the file doesn't know of any.
    CHECK(model.input == second::Layer{0.5, "relu", 3});
    REQUIRE(model.layers.size() == 2);
    CHECK(model.layers[1] == second::Layer{0.2, "relu", 2});
    CHECK(model.named.at("a") == second::Layer{0.4, "relu", 4});
    REQUIRE(model.points.size() == 1000);
    CHECK(model.points[999] == second::Point{1, 2, -1});
    CHECK(model.grid.shape() == hoist::Shape{2, 300});
    CHECK(model.grid(1, 299) == second::Point{3, 4, -1});
    CHECK(model.weights.shape() == hoist::Shape{600, 2});
    CHECK(model.weights(599, 1) == 0.25);
  }
}

TEST_CASE("members that the type doesn't have are skipped if asked for, and only then") {
  TempDir dir;
  dump(second::Point{1, 2, 3}, dir / "p");
  CHECK_THROWS_AS(std::ignore = load<first::Point>(dir / "p"), hoist::WrongType);
  CHECK_THROWS_WITH_AS(std::ignore = load<first::Point>(dir / "p", keep_default),
                       doctest::Contains("has 'z'"), hoist::WrongType);
  const auto point = load<first::Point>(dir / "p", skip);
  CHECK(point.x == 1);
  CHECK(point.y == 2);
}

TEST_CASE("the errors say which member is missing and how to read the file") {
  TempDir dir;
  dump(first::Point{1, 2}, dir / "p");
  CHECK_THROWS_WITH_AS(std::ignore = load<second::Point>(dir / "p"),
                       doctest::Contains("LoadOptions::missing_members"), hoist::WrongType);
  CHECK_THROWS_WITH_AS(std::ignore = load<second::Point>(dir / "p", skip),
                       doctest::Contains("has no \"z\""), hoist::WrongType);
  dump(std::string("no struct"), dir / "text");
  CHECK_THROWS_WITH_AS(std::ignore = load<int>(dir / "text"),
                       doctest::Contains("where i32 is asked for"), hoist::WrongType);
}

TEST_CASE("recursive types, members behind pointers and other formats change as well") {
  TempDir dir;
  dump(first::Node{1, {{2, {}}, {3, {{4, {}}}}}}, dir / "tree");
  const auto tree = load<second::Node>(dir / "tree", keep_default);
  CHECK(tree.weight == 5);
  CHECK(tree.children.at(1).children.at(0).value == 4);
  CHECK(tree.children.at(1).children.at(0).weight == 5);

  dump(std::tuple(std::make_shared<first::Point>(), std::optional(first::Point{1, 2}),
                  std::array<first::Point, 2>{{{1, 2}, {3, 4}}}),
       dir / "tuple");
  const auto [pointer, maybe, both] =
      load<std::tuple<std::shared_ptr<second::Point>, std::optional<second::Point>,
                      std::array<second::Point, 2>>>(dir / "tuple", keep_default);
  CHECK(*pointer == second::Point{0, 0, -1});
  CHECK(maybe == second::Point{1, 2, -1});
  CHECK(both[1] == second::Point{3, 4, -1});

  for (const char* file : {"model.pkl", "model.joblib.lz4"}) {
    CAPTURE(file);
    auto model = sample();
    model.grid = {};
    model.points.clear();
    model.layers.assign(100'000, {8, 0.8});  // enough to be read in two passes
    dump(model, dir / file);
    const auto read = load<second::Model>(dir / file, keep_default);
    CHECK(read.layers.at(99'999) == second::Layer{0.8, "relu", 8});
    CHECK(read.weights(599, 1) == 0.25);
  }
}

TEST_CASE("members may change their types as far as the values stay exact") {
  struct Before {
    int count = 0;
    double rate = 0;
  };
  struct After {
    double count = 0;
    float rate = 0;
    std::string note = "none";
  };
  struct Narrow {
    std::int8_t count = 0;
  };
  const TempDir dir;
  dump(Before{300, 0.5}, dir / "f");
  const auto after = load<After>(dir / "f", keep_default);
  CHECK(after.count == 300);
  CHECK(after.rate == 0.5F);
  CHECK(after.note == "none");
  CHECK_THROWS_AS(std::ignore = load<Narrow>(dir / "f", skip), hoist::WrongType);
}

TEST_CASE("a file of exactly the type is read as without the options") {
  TempDir dir;
  second::Model same;
  same.name = "same";
  dump(same, dir / "m");
  const auto model =
      load<second::Model>(dir / "m", {.mmap = hoist::MmapMode::copy_on_write,
                                      .missing_members = MissingMembers::keep_default,
                                      .unknown_members = UnknownMembers::skip});
  CHECK(model.name == "same");
  CHECK(model.input == second::Layer{9, "linear", 0});
  CHECK(model.weights(599, 1) == 0.25);
}
