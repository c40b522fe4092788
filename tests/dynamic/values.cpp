// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/dtype.hpp>
#include <hoist/dump.hpp>
#include <hoist/hash.hpp>
#include <hoist/value.hpp>

#include <array>
#include <cmath>
#include <complex>
#include <filesystem>
#include <initializer_list>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <variant>
#include <vector>

#include "support/hard_limit.hpp"
#include "support/temp_dir.hpp"

using hoist::Array;
using hoist::DType;
using hoist::dump;
using hoist::load;
using hoist::Value;
using support::TempDir;

namespace {

struct Point {
  double x = 0;
  double y = 0;
  bool operator==(const Point&) const = default;
};

struct Tree {
  std::variant<int, std::vector<Tree>> content;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(content);
  }
};

struct Padded {
  std::int8_t tag = 0;
  double value = 0;
  std::array<float, 3> rest{};
  bool operator==(const Padded&) const = default;
};

struct Everything {
  int number = 0;
  std::uint64_t large = 0;
  float single = 0;
  std::string text;
  std::optional<int> maybe;
  std::variant<int, std::string, std::vector<double>> either;
  std::vector<double> series;
  std::vector<bool> flags;
  std::vector<std::string> words;
  std::vector<Point> points;
  std::array<int, 3> three{};
  std::map<std::string, Array<double>> arrays;
  std::set<std::pair<int, std::string>> keys;
  std::complex<double> z;
  std::shared_ptr<Point> shared, same;
  std::chrono::milliseconds time{};
  Array<Padded> records;
  Value any;
  long double wide = 0;
};

Everything everything() {
  Everything e;
  e.number = -7;
  e.large = ~0ULL;
  e.single = 1.5F;
  e.text =
      "Gr\xC3\xBC\xC3\x9F"
      "e";
  e.maybe = 3;
  e.either = std::vector<double>{1, 2};
  e.series.assign(2000, 0.25);
  e.flags = {true, false, true};
  e.words = {"a", "b"};
  e.points = {{1, 2}, {3, 4}};
  e.three = {1, 2, 3};
  e.arrays["a"] = Array<double>({2, 3}, hoist::Order::fortran);
  e.keys = {{1, "x"}, {2, "y"}};
  e.z = {1, -2};
  e.shared = e.same = std::make_shared<Point>(Point{5, 6});
  e.time = std::chrono::milliseconds(1234);
  e.records = Array<Padded>({4});
  e.records[2] = {7, 0.5, {1, 2, 3}};
  e.any = Value::list({Value(1), Value("two"), Value()});
  e.wide = 1.0L / 3;
  return e;
}

void check_equal(const Everything& a, const Everything& b) {
  CHECK(a.number == b.number);
  CHECK(a.large == b.large);
  CHECK(a.single == b.single);
  CHECK(a.text == b.text);
  CHECK(a.maybe == b.maybe);
  CHECK(a.either == b.either);
  CHECK(a.series == b.series);
  CHECK(a.flags == b.flags);
  CHECK(a.words == b.words);
  CHECK(a.points == b.points);
  CHECK(a.three == b.three);
  CHECK(a.arrays == b.arrays);
  CHECK(a.keys == b.keys);
  CHECK(a.z == b.z);
  REQUIRE(b.shared);
  CHECK(*a.shared == *b.shared);
  CHECK(b.shared == b.same);
  CHECK(a.time == b.time);
  CHECK(a.records == b.records);
  CHECK(a.any == b.any);
  CHECK(a.wide == b.wide);
}

}  // namespace

TEST_CASE("a container is read with no type known") {
  const TempDir dir;
  dump(everything(), dir / "e.hoist");
  dump(everything(), dir / "e.gz");
  for (const char* name : {"e.hoist", "e.gz"}) {
    const auto value = load<Value>(dir / name);
    CHECK(value["number"].as_int() == -7);
    CHECK(value["large"].as_uint() == ~0ULL);
    CHECK(value["text"].as_text() ==
          "Gr\xC3\xBC\xC3\x9F"
          "e");
    CHECK(value["either"].as_array<double>()[1] == 2);
    CHECK(value["series"].as_array<double>().size() == 2000);
    CHECK(value["flags"].as_array<bool>()[2]);
    CHECK(value["points"].as_array<Point>()[1] == Point{3, 4});
    CHECK(value["arrays"]["a"].order() == hoist::Order::fortran);
    CHECK(value["keys"][1].to_string() == "(2, 'y')");
    CHECK(value["any"].to_string() == "[1, 'two', None]");
    CHECK(value["records"].dtype().text() == "{tag: |i1, value: <f8 at 8, rest: <f4[3]; 32 bytes}");
    CHECK(value["records"].as_array<Padded>()[2] == Padded{7, 0.5, {1, 2, 3}});
    CHECK(value.to_string().starts_with("{'number': -7, 'large': 18446744073709551615"));
    CHECK_THROWS_WITH_AS(value["none"], doctest::Contains("'number'"), hoist::NotFound);
    check_equal(everything(), value.to<Everything>());
  }
  CHECK(Value::from(everything()) == load<Value>(dir / "e.hoist"));
}

TEST_CASE("a Value is a value: dumped, loaded, hashed, compared") {
  const TempDir dir;
  const Value value = Value::dict(
      {{"a", Value::from(everything())},
       {Value::tuple({1, 2.5}), Value::set({Value("x"), Value(3)})},
       {"dates", Value::moment(Value::Kind::datetime, {2024, 2, 29, 1, 2, 3, 4, 0, 3600000000})},
       {"big", Value::integer(std::string("\0\0\0\0\0\0\0\0\0\1", 10))},
       {"objects", Value::objects({2, 1}, hoist::Order::c, {Value("o"), Value()})},
       {"bytes", Value::bytes(std::string("\0\xFF", 2))}});
  dump(value, dir / "v.hoist");
  CHECK(load<Value>(dir / "v.hoist") == value);
  CHECK(hoist::hash(load<Value>(dir / "v.hoist")) == hoist::hash(value));
  CHECK(value["big"].to_string() == "4722366482869645213696");
  CHECK(value["dates"].to_string() == "2024-02-29T01:02:03.000004+3600000000us");

  const auto& entries = value.entries();
  const Value turned = Value::dict({entries.rbegin(), entries.rend()});
  CHECK(turned == value);
  CHECK(hoist::hash(turned) == hoist::hash(value));
  CHECK_FALSE(Value(1) == Value(1.0));
  CHECK_FALSE(value == Value::dict({entries.begin(), entries.end() - 1}));
}

TEST_CASE("values nest without exhausting the stack") {
  Value deep;
  for (int i = 0; i < 1000000; ++i) deep = Value::list({std::move(deep)});
  CHECK(deep.size() == 1);
  CHECK(deep.to_string().size() < 300);
  const TempDir dir;
  CHECK_THROWS_AS(dump(deep, dir / "deep.hoist"), hoist::LimitExceeded);
  CHECK_THROWS_AS(dump(deep, dir / "deep.pkl"), hoist::LimitExceeded);
}

TEST_CASE("another type is refused, naming the place and the difference") {
  const Value value = Value::dict({{"a", Value::list({Value::dict({{"x", 1.5}})})}});
  using Inner = std::map<std::string, std::vector<std::map<std::string, double>>>;
  CHECK(value.to<Inner>().at("a")[0].at("x") == 1.5);
  using Wrong = std::map<std::string, std::vector<std::map<std::string, std::string>>>;
  CHECK_THROWS_WITH_AS(value.to<Wrong>(),
                       doctest::Contains("at ['a'][0]['x'] the value is a float"),
                       hoist::WrongType);
  CHECK_THROWS_AS(Value(300).to<std::uint8_t>(), hoist::WrongType);
  CHECK(Value(255).to<std::uint8_t>() == 255);
  CHECK(Value(3).to<double>() == 3);
  CHECK_THROWS_AS(Value(1.5).to<int>(), hoist::WrongType);
  CHECK_THROWS_WITH_AS(Value::dict({{"x", 1.0}}).to<Point>(), doctest::Contains("has no \"y\""),
                       hoist::WrongType);
  CHECK_THROWS_WITH_AS(Value::dict({{"x", 1.0}, {"y", 1.0}, {"z", 1.0}}).to<Point>(),
                       doctest::Contains("'z'"), hoist::WrongType);
  CHECK(Value::dict({{"y", 1}, {"x", 2}}).to<Point>() == Point{2, 1});
  CHECK(Value(Array<std::int64_t>({3})).to<std::vector<int>>() == std::vector<int>(3));
  CHECK_THROWS_AS(Value(Array<std::int64_t>({3})).to<Array<int>>(), hoist::WrongType);
}

TEST_CASE("half-precision numbers and fixed text") {
  using hoist::Float16;
  for (const float x : {0.0F, 1.0F, -2.5F, 65504.0F, 6.1035156e-05F, 5.9604645e-08F}) {
    CHECK(static_cast<float>(Float16(x)) == x);
  }
  CHECK(Float16(1e6F).bits == 0x7C00);
  CHECK(Float16(2049.0F).bits == Float16(2048.0F).bits);  // a tie goes to the even one
  CHECK(Float16(-1e-9F).bits == 0x8000);
  CHECK(Float16(65520.0F).bits == 0x7C00);
  for (unsigned bits = 0; bits < 0x7C00; ++bits) {
    Float16 half;
    half.bits = static_cast<std::uint16_t>(bits);
    if (Float16(static_cast<float>(half)).bits != bits) FAIL("half " << bits);
  }
  const hoist::FixedString<4> text("abc");
  CHECK(text.view() == "abc");
  CHECK_THROWS_AS(hoist::FixedString<2>("abc"), hoist::BadArgument);
  CHECK(DType::of<hoist::FixedString<4, char32_t>>().text() == "<U4");
  const TempDir dir;
  Array<hoist::FixedString<4>> names({2});
  names[1] = "ab";
  dump(names, dir / "names");
  CHECK(load<Array<hoist::FixedString<4>>>(dir / "names")[1].view() == "ab");
}

TEST_CASE("variants within variants are loaded in time that their depth doesn't multiply") {
  const support::HardLimit limit;
  const TempDir dir;
  Tree tree{.content = 7};
  for (int i = 0; i < 60; ++i) tree = Tree{.content = std::vector<Tree>{tree}};
  dump(tree, dir / "tree.joblib");
  const Tree back = load<Tree>(dir / "tree.joblib");
  const Tree* at = &back;
  for (int i = 0; i < 60; ++i) {
    REQUIRE(at->content.index() == 1);
    at = &std::get<1>(at->content).at(0);
  }
  CHECK(std::get<0>(at->content) == 7);
}

TEST_CASE("a long std::array is made of a list, too") {
  std::vector<Value> numbers;
  for (int i = 0; i < 1000; ++i) numbers.emplace_back(static_cast<double>(i));
  using Row = std::array<double, 1000>;
  CHECK(Value::list(numbers).to<Row>()[999] == 999);
  const Value rows = Value::list({Value::list(numbers), Value(Array<double>({1000}))});
  const auto table = rows.to<std::vector<Row>>();
  CHECK(table[0][999] == 999);
  CHECK(table[1][999] == 0);
  CHECK(rows.to<std::array<Row, 2>>() == std::array<Row, 2>{table[0], table[1]});
}

TEST_CASE("arrays of std::arrays come back from every format, whatever their order") {
  const TempDir dir;
  using Triple = std::array<float, 3>;
  for (const auto order : {hoist::Order::c, hoist::Order::fortran}) {
    Array<Triple> array({2, 4}, order);
    array(1, 2)[2] = 7;
    for (const char* name : {"a.npy", "a.npz", "a.pkl", "a.hoist"}) {
      dump(array, dir / name);
      CHECK(load<Array<Triple>>(dir / name) == array);
    }
    const Value value = Value::from(array);
    CHECK(value.shape() == hoist::Shape{2, 4, 3});
    CHECK(value.to<Array<Triple>>() == array);
    CHECK(Value(array).to<Array<Triple>>() == array);
  }
}

TEST_CASE("fixed text is compared with text that it can't hold") {
  const hoist::FixedString<3> text("abc");
  CHECK(text == "abc");
  CHECK(text != "abcd");
  CHECK(text == std::string("abc"));
  CHECK("ab" != text);
}

TEST_CASE("keys of arrays and structs come back from pickles") {
  const TempDir dir;
  using Pair = std::array<int, 2>;
  const auto comes_back = [&](const auto& map) {
    dump(map, dir / "map.pkl");
    CHECK(load<std::decay_t<decltype(map)>>(dir / "map.pkl") == map);
  };
  comes_back(std::map<std::vector<Pair>, int>{{{{1, 2}, {3, 4}}, 5}, {{}, 6}});
  comes_back(std::map<std::array<Pair, 2>, int>{{{Pair{1, 2}, Pair{3, 4}}, 5}});
  const auto less = [](const std::vector<Point>& a, const std::vector<Point>& b) {
    return a.size() < b.size();
  };
  const std::map<std::vector<Point>, int, decltype(less)> map{{{{1, 2}, {3, 4}}, 5}};
  const Value value = Value::from(map);
  CHECK(value.entries()[0].first.items()[1].kind() == Value::Kind::tuple);  // hashable in Python
  CHECK(value.to<std::decay_t<decltype(map)>>() == map);
}

// Sets stayed sets in keys, and what Python can't have as a key was written: nobody could read it.
TEST_CASE("keys of sets come back from pickles, and those that no reader takes are refused") {
  const TempDir dir;
  using Sets = std::set<std::set<int>>;
  const Sets sets{{}, {1, 2}};
  dump(sets, dir / "sets.pkl");
  CHECK(load<Sets>(dir / "sets.pkl") == sets);
  CHECK(Value::from(sets).to<Sets>() == sets);
  const std::map<std::pair<int, std::set<int>>, int> map{{{1, {2}}, 3}};
  dump(map, dir / "map.pkl");
  CHECK(load<std::decay_t<decltype(map)>>(dir / "map.pkl") == map);

  const Value list = Value::list({1});
  CHECK_THROWS_AS(dump(std::map<std::map<int, int>, int>{{{{1, 2}}, 3}}, dir / "bad.pkl"),
                  hoist::BadArgument);
  CHECK_THROWS_AS(dump(Value::dict({{list, 1}}), dir / "bad.pkl"), hoist::BadArgument);
  CHECK_THROWS_AS(dump(Value::set({Value::tuple({1, list})}), dir / "bad.pkl"), hoist::BadArgument);
  CHECK_THROWS_AS(dump(Value::dict({{"a", list}, {list, 1}}), dir / "bad.pkl"), hoist::BadArgument);
  CHECK_FALSE(std::filesystem::exists(dir / "bad.pkl"));
  dump(Value::dict({{1, Value::tuple({list})}}), dir / "good.pkl");
  CHECK(load<Value>(dir / "good.pkl").size() == 1);
}

TEST_CASE("keys that Python holds equal are one key, also within tuples and sets") {
  const TempDir dir;
  using Complex = std::complex<double>;
  const auto keys = [&](const std::vector<Value>& all) {
    std::vector<Value::Entry> entries;
    for (const Value& key : all) entries.emplace_back(key, static_cast<int>(entries.size()));
    dump(Value::dict(std::move(entries)), dir / "keys.pkl");
    return load<Value>(dir / "keys.pkl").size();
  };
  CHECK(keys({Value(0.0), Value(-0.0), 0, false, Complex(-0.0, -0.0)}) == 1);
  CHECK(keys({Value::tuple({0.0}), Value::tuple({-0.0}), Value::tuple({0}), 0}) == 2);
  CHECK(keys({Value::tuple({1, Value::tuple({true})}), Value::tuple({1.0, Value::tuple({1})})}) ==
        1);
  const auto frozen = [](std::vector<Value> items) {
    return Value::sequence(Value::Kind::frozen_set, std::move(items));
  };
  CHECK(keys({frozen({1, 2}), frozen({2.0, 1.0}), frozen({1, 2, 3}), Value::tuple({1, 2})}) == 3);
  CHECK(keys({Value::tuple({"a", "b"}), Value::tuple({"ab"}), Value::tuple({"a", "b", ""})}) == 3);

  // As Values they are of different kinds, but for zeros.
  CHECK(Value::set({Value::tuple({0.0, 1}), 2}) == Value::set({2, Value::tuple({-0.0, 1})}));
  CHECK(Value::set({Complex(0, 0), 2}) == Value::set({2, Complex(-0.0, -0.0)}));
  CHECK_FALSE(Value::set({Value::tuple({1}), 2}) == Value::set({2, Value::tuple({1.0})}));
}

TEST_CASE("an integer is a float only where that holds it") {
  CHECK(Value(16777216).to<float>() == 16777216.0F);
  CHECK_THROWS_AS((void)Value(16777217).to<float>(), hoist::WrongType);
  CHECK(Value(16777217).to<double>() == 16777217.0);
  CHECK_THROWS_AS((void)Value((std::int64_t{1} << 53) + 1).to<double>(), hoist::WrongType);
  CHECK(Value(2048).to<hoist::Float16>() == hoist::Float16(2048.0F));
  CHECK_THROWS_AS((void)Value(2049).to<hoist::Float16>(), hoist::WrongType);
  CHECK_THROWS_AS((void)Value(100'000).to<hoist::Float16>(), hoist::WrongType);
  CHECK_THROWS_AS((void)Value(-100'000).to<hoist::Float16>(), hoist::WrongType);
  CHECK_THROWS_AS((void)Value(16777217).to<std::complex<float>>(), hoist::WrongType);
  CHECK(Value(0.1).to<float>() == 0.1F);
}

TEST_CASE("values that nest too deep are not compared") {
  const auto nested = [](int depth) {
    Value value(1);
    for (int i = 0; i < depth; ++i) value = Value::list({std::move(value)});
    return value;
  };
  CHECK(nested(900) == nested(900));
  CHECK_THROWS_AS((void)(nested(200'000) == nested(200'000)), hoist::LimitExceeded);
  const auto key = [&](int depth) {
    Value value(1);
    for (int i = 0; i < depth; ++i) value = Value::tuple({std::move(value)});
    return Value::set({0, std::move(value)});
  };
  const Value other = Value::set({key(1).items()[1], 0});
  CHECK_THROWS_AS((void)(key(200'000) == other), hoist::LimitExceeded);
}

TEST_CASE("a date that Python has not is no part of a pickle") {
  using Kind = Value::Kind;
  const TempDir dir;
  CHECK_THROWS_AS(dump(Value::moment(Kind::date, {70000, 1, 1}), dir / "a.pkl"),
                  hoist::BadArgument);
  CHECK_THROWS_AS(dump(Value::moment(Kind::time, {.hour = 24}), dir / "a.pkl"), hoist::BadArgument);
  CHECK_THROWS_AS(Value::moment(Kind::text, {}), hoist::BadArgument);
}

TEST_CASE("a text is cut between its characters") {
  CHECK(Value("abc").to_string(4) == "'abc'");
  CHECK(Value("abcd").to_string(4) == "'abc...'");
  CHECK(Value("\u00e9\u00e9").to_string(2) == "'\u00e9...'");
}

TEST_CASE("a number that is too large for a float is refused") {
  CHECK(Value(0.1).to<float>() == 0.1F);
  CHECK(std::isinf(Value(HUGE_VAL).to<float>()));
  CHECK_THROWS_AS(Value(1e39).to<float>(), hoist::WrongType);
  CHECK(std::get<double>(Value(1e39).to<std::variant<float, double>>()) == 1e39);
}

TEST_CASE("a Value is made of __int128 without loss or not at all") {
  static_assert(!std::is_constructible_v<Value, hoist::detail::Int128>);
  static_assert(!std::is_constructible_v<Value, hoist::detail::UInt128>);
  static_assert(std::is_constructible_v<Value, unsigned long long>);
  const hoist::detail::Int128 large = hoist::detail::Int128{1} << 100;
  CHECK(Value::from(large).to<hoist::detail::Int128>() == large);
}

TEST_CASE("integers of any size are numbers, rounded once") {
  const auto as_double = [](std::initializer_list<int> bytes) {
    TempDir dir;
    std::string pickle = "\x80\2\x8a";
    pickle += static_cast<char>(bytes.size());
    for (const int byte : bytes) pickle += static_cast<char>(byte);
    support::spill(dir / "a.pkl", pickle + ".");
    return load<Value>(dir / "a.pkl").as_double();
  };
  CHECK(as_double({0, 0, 0, 0, 0, 0, 0, 0, 1}) == std::ldexp(1, 64));
  CHECK(as_double({0, 0, 0, 0, 0, 0, 0, 0, 255}) == -std::ldexp(1, 64));
  CHECK(as_double({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 128}) == -std::ldexp(1, 95));
  // Half a unit in the last place more than 2^72, which is even, and a little more than that.
  CHECK(as_double({0, 0, 8, 0, 0, 0, 0, 0, 0, 1}) == std::ldexp(1, 72));
  CHECK(as_double({1, 0, 8, 0, 0, 0, 0, 0, 0, 1}) == std::ldexp(1, 72) + std::ldexp(1, 20));
}
