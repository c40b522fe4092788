// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/array.hpp>
#include <hoist/dump.hpp>
#include <hoist/error.hpp>
#include <hoist/hash.hpp>
#include <hoist/value.hpp>

#include <array>
#include <deque>
#include <filesystem>
#include <fstream>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>
#include <variant>
#include <vector>

#include "dynamic/encoded_stream.hpp"
#include "support/memory_source.hpp"
#include "support/temp_dir.hpp"
#include "support/two_passes.hpp"

// Large pickles are read in two passes, so that not all their parts are in memory at once. The
// result must be that of one pass; the tests use small pickles, too.

using hoist::Value;
using hoist::detail::formats::Input;
using support::slurp;
using support::spill;
using support::TempDir;

namespace {

const hoist::LoadOptions bounded{.threads = 1,
                                 .limits = {.max_bytes = 1 << 24, .max_memory = 1 << 24}};

struct Outcome {
  std::optional<Value> value;
  std::string error;
  bool over_limit = false;
};

template <class Read>
Outcome outcome(Read read) {
  Outcome result;
  try {
    result.value = read();
  } catch (const hoist::LimitExceeded&) {
    result.over_limit = true;
  } catch (const hoist::Error& error) {
    result.error = error.what();
  }
  return result;
}

/// `seekable`: from a file, which is read twice; otherwise the first pass keeps what it has read.
Outcome in_two_passes(const std::string& bytes, const TempDir& dir, bool seekable,
                      support::Rebuilder& to) {
  return outcome([&] {
    if (!seekable) {
      support::MemorySource source(bytes.data(), bytes.size());
      Input in(source, nullptr, "input", bounded, 1 << 24);
      return support::read_in_two_passes(in, to);
    }
    spill(dir / "passes", bytes);
    hoist::detail::os::FileSource file(dir / "passes");
    Input in(file, &file, "input", bounded, 1 << 24);
    return support::read_in_two_passes(in, to);
  });
}

/// True if two passes yielded a value, which must be that of one pass.
bool agree(const std::string& bytes, const TempDir& dir, bool seekable, std::uint64_t refused = 0) {
  const Outcome once = outcome([&] {
    support::MemorySource source(bytes.data(), bytes.size());
    Input in(source, nullptr, "input", bounded, 1 << 24);
    return std::optional(hoist::detail::pickle::read_pickle(in));
  });
  support::Rebuilder to(refused);
  const Outcome twice = in_two_passes(bytes, dir, seekable, to);
  if (once.over_limit || twice.over_limit) return true;
  if (!twice.value) {
    // There is no outline, or both refuse the pickle.
    CHECK((twice.error.empty() || !once.error.empty()));
    return !twice.error.empty();
  }
  REQUIRE_MESSAGE(once.value, once.error);
  CHECK(to.complete());
  INFO(once.value->to_string(), " / ", twice.value->to_string());
  CHECK(hoist::hash(*once.value) == hoist::hash(*twice.value));
  return true;
}

/// The parts of a pickle, converted to a T.
template <class T>
T through_parts(const std::filesystem::path& path, std::size_t* parts = nullptr) {
  namespace detail = hoist::detail;
  detail::os::FileSource file(path);
  Input in(file, &file, "input", bounded, 1 << 24);
  in.begin_first_pass();
  const auto outline = detail::pickle::survey_pickle(in);
  in.rewind();
  REQUIRE(outline);
  if (parts != nullptr) *parts = outline->containers.size();
  const detail::dynamic::ParsedSchema schema(detail::schema_of<T>().text);
  T value{};
  detail::dynamic::encode_while_reading(
      [&](detail::EncodeSink& sink) {
        detail::dynamic::encode_parts_as(
            schema.root(), false, sink,
            [&](detail::dynamic::ValueSink& to) { detail::pickle::give_pickle(in, *outline, to); });
      },
      [&](detail::DecodeSource& source) { detail::decode(source, value); });
  return value;
}

template <class T>
void check_through_parts(const T& value, const Value& pickled) {
  const TempDir dir;
  hoist::dump(pickled, dir / "v.pkl");
  CHECK((through_parts<T>(dir / "v.pkl") == value));
}

template <class T>
void check_through_parts(const T& value) {
  const TempDir dir;
  hoist::dump(value, dir / "v.pkl");
  CHECK((through_parts<T>(dir / "v.pkl") == value));
}

template <class T>
std::string error_of(const Value& pickled, bool in_parts) {
  const TempDir dir;
  hoist::dump(pickled, dir / "v.pkl");
  try {
    in_parts ? through_parts<T>(dir / "v.pkl") : pickled.to<T>();
  } catch (const hoist::WrongType& error) {
    return error.what();
  }
  return "none";
}

template <class T>
void check_same_error(const Value& pickled) {
  const std::string error = error_of<T>(pickled, false);
  CHECK(error != "none");
  CHECK(error_of<T>(pickled, true) == error);
}

struct Point {
  double x = 0;
  std::string name;
  std::optional<std::vector<std::string>> tags;
  bool operator==(const Point&) const = default;
};

struct Tree {
  std::string name;
  std::vector<Tree> children;
  bool operator==(const Tree&) const = default;
};

struct All {
  std::vector<Point> points;
  std::map<std::string, std::vector<int>> rows;
  std::set<std::string> names;
  std::vector<hoist::Array<double>> arrays;
  std::shared_ptr<std::vector<std::string>> shared;
  std::variant<int, std::vector<std::string>> either;
  std::tuple<int, std::vector<std::string>> tuple;
  std::map<std::pair<int, int>, std::string> by_pair;
  bool operator==(const All& other) const {
    return points == other.points && rows == other.rows && names == other.names &&
           arrays.size() == other.arrays.size() && arrays[0] == other.arrays[0] &&
           *shared == *other.shared && either == other.either && tuple == other.tuple &&
           by_pair == other.by_pair;
  }
};

All all() {
  const std::vector<std::string> texts{"one", "two", std::string(5000, 'x')};
  return {.points = {{.5, "a", {}}, {1.5, "b", texts}, {2.5, "c", std::vector<std::string>()}},
          .rows = {{"r", {1, 2, 3}}, {"s", {}}, {"t", std::vector<int>(3000, 7)}},
          .names = {"x", "y"},
          .arrays = {hoist::Array<double>({3}), hoist::Array<double>({2000})},
          .shared = std::make_shared<std::vector<std::string>>(texts),
          .either = texts,
          .tuple = {1, texts},
          .by_pair = {{{1, 2}, "a"}, {{1, 3}, "b"}}};
}

}  // namespace

TEST_CASE("two passes read what one does: files of Python, whole, cut and changed") {
  const TempDir dir;
  int outlines = 0, files = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(std::filesystem::path(HOIST_TEST_DATA) / "interop")) {
    if (entry.path().extension() != ".pkl") continue;
    CAPTURE(entry.path());
    const std::string bytes = slurp(entry.path());
    ++files;
    const bool seekable = agree(bytes, dir, true), kept = agree(bytes, dir, false);
    CHECK(seekable == kept);
    outlines += kept ? 1 : 0;
    agree(bytes, dir, false, 0b1010'0110);
    if (bytes.size() > 1500) continue;
    for (std::size_t n = 0; n < bytes.size(); ++n) agree(bytes.substr(0, n), dir, false);
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      std::string changed = bytes;
      for (const int flip : {1, 0x80, 0x15}) {
        changed[i] = static_cast<char>(bytes[i] ^ flip);
        agree(changed, dir, false, i);
      }
    }
  }
  CHECK(files > 40);
  CHECK(outlines > 25);
}

TEST_CASE("two passes read what hoist writes") {
  const TempDir dir;
  hoist::dump(all(), dir / "all.pkl");
  const std::string bytes = slurp(dir / "all.pkl");
  CHECK(agree(bytes, dir, true));
  CHECK(agree(bytes, dir, false));
  for (const std::uint64_t refused : {1U, 2U, 5U, 0b1101'0010U, ~0U}) {
    CHECK(agree(bytes, dir, false, refused));
  }
  // Large texts and bytes, which are kept separately for the second pass: Latin-1, and texts that
  // begin as Latin-1.
  std::vector<Value> large;
  for (const std::string part : {"a", "\u00E9", "\u4E2D"}) {
    std::string text;
    while (text.size() < 100000) text += part;
    large.emplace_back(text);
    large.emplace_back(std::string(70000, 'x') + text);
    large.emplace_back("\u00E9" + std::string(70001, 'x') + text);
    large.push_back(Value::bytes("\xFF" + text));
  }
  hoist::dump(Value::list(large), dir / "large.pkl");
  const std::string texts = slurp(dir / "large.pkl");
  CHECK(agree(texts, dir, true));
  CHECK(agree(texts, dir, false));
  CHECK(agree(texts.substr(0, texts.size() / 2), dir, false) == false);
  // More parts than one write holds.
  std::vector<std::vector<std::string>> many;
  for (int i = 0; i < 5000; ++i) many.push_back({std::to_string(i), "same"});
  hoist::dump(many, dir / "many.pkl");
  support::Rebuilder to;
  const Outcome read = in_two_passes(slurp(dir / "many.pkl"), dir, true, to);
  REQUIRE(read.value);
  CHECK(to.begun() == 5001);
  CHECK((read.value->to<decltype(many)>() == many));
}

TEST_CASE("unusual pickles come to the same in two passes") {
  using namespace std::string_view_literals;
  const TempDir dir;
  const auto same = [&](std::string_view pickle, bool outline = true) {
    CAPTURE(Value::bytes(std::string(pickle)).to_string());
    const std::string bytes(pickle);
    CHECK(agree(bytes, dir, true) == outline);
    CHECK(agree(bytes, dir, false, 2) == outline);
  };
  same("\x80\4](]]](K\1eeee."sv, false);  // marks that are missing
  same("\x80\4]((K\1K\2e]ee."sv, false);  // filled beneath another mark
  same("\x80\4](]q\0]q\1h\0e."sv);        // a list that occurs twice
  same("\x80\4]q\0(K\1h\0e."sv);          // in itself
  same("\x80\4]q\0]q\1h\0a\x86."sv);      // filled by way of the memo
  same("\x80\4](]q\0h\0K\1ae."sv, false);
  same(
      "\x80\4](]\x85]\x85"
      "e."sv);                      // lists inside tuples
  same("\x80\4](](K\1K\2e]0e."sv);  // dropped
  same(
      "\x80\4](](K\1e(]K\3"
      "1e."sv);
  same("\x80\4]2a."sv, false);                  // doubled
  same("\x80\4}(K\1]K\1]u."sv);                 // a key twice
  same("\x80\4}(K\1]G?\xF0\0\0\0\0\0\0]u."sv);  // by another name
  same("\x80\4}(K\1]\x88]u."sv);
  same("\x80\4}(]K\1u."sv);                           // a list as a key
  same("\x80\4}(K\1\x85]K\1\x85]u."sv);               // tuples as keys
  same("\x80\4\x8f(K\1K\2K\2\x90."sv);                // a set with one element twice
  same("\x80\4\x8f(]\x90."sv);                        // a list in a set
  same("\x80\4](K\1u."sv);                            // entries for a list
  same("\x80\4}(K\1e."sv);                            // items for a dict
  same("\x80\4}(K\1u."sv);                            // a key without a value
  same("(lp0\n(lp1\nI1\naa(dp2\nS'a'\n(lp3\nsa."sv);  // protocol 0
  same("(lp1\n(lp2\nI1\naag2\na."sv);
  same("\x80\2]q\1(U\1aU\1\xFFU\1aq\2h\2e."sv);  // Python 2 counts from 1
  same("\x80\4\x8c\1a\x94."sv);
  same("\x80\4](\x8c\1a\x94h\0]h\0ae."sv);
}

TEST_CASE("values of each form come out of parts") {
  check_through_parts(all());
  check_through_parts(std::vector<std::string>{});
  check_through_parts(std::deque<std::string>{"a", "b"});
  check_through_parts(std::list<std::vector<bool>>{{true, false}, {}});
  check_through_parts(std::unordered_map<int, std::string>{{1, "a"}, {-2, "b"}});
  check_through_parts(std::optional<std::vector<std::string>>{});
  check_through_parts(std::make_optional<std::vector<std::string>>({"x"}));
  check_through_parts(std::vector<std::pair<int, Point>>{{1, {2, "p", {}}}});
  check_through_parts(Tree{"a", {{"b", {}}, {"c", {{"d", {}}}}}});
  check_through_parts(std::string("text"));
  check_through_parts(std::array<std::vector<std::string>, 2>{{{"a"}, {"b", "c"}}});
  // Lists of numbers, as Python writes them.
  std::vector<Value> numbers;
  for (int i = 0; i < 100000; ++i) numbers.emplace_back(i);
  std::vector<double> doubles(100000);
  for (std::size_t i = 0; i < doubles.size(); ++i) doubles[i] = static_cast<double>(i);
  check_through_parts(doubles, Value::list(numbers));
  check_through_parts(std::vector<double>{1, 2}, Value::list({1, 2.0}));
  check_through_parts(std::vector<double>{}, Value::list({}));
  check_through_parts(std::vector<std::vector<int>>{{1}, {}, {2, 3}},
                      Value::list({Value::list({1}), Value::list({}), Value::list({2, 3})}));
  check_through_parts(std::vector<std::array<float, 2>>{{1, 2}, {3, 4}},
                      Value::list({Value::list({1, 2}), Value::list({3, 4})}));
  // Members in any order.
  const Value tags = Value::list({"t"});
  for (const auto& members : {std::vector<Value::Entry>{{"x", 1}, {"name", "n"}, {"tags", tags}},
                              {{"tags", tags}, {"name", "n"}, {"x", 1}},
                              {{"name", "n"}, {"tags", tags}, {"x", 1}},
                              {{"tags", tags}, {"x", 1}, {"name", "n"}}}) {
    check_through_parts(Point{1, "n", {{"t"}}}, Value::dict(members));
    check_through_parts(std::vector<Point>{{1, "n", {{"t"}}}}, Value::list({Value::dict(members)}));
  }
}

TEST_CASE("wrong types are named alike in parts and as a whole") {
  using Strings = std::vector<std::string>;
  using Points = std::vector<Point>;
  check_same_error<Strings>(Value::list({"a", 1}));
  check_same_error<Strings>(Value::dict({{"a", 1}}));
  check_same_error<std::vector<double>>(Value::list({1, "a"}));
  check_same_error<std::vector<int>>(Value::list({1, std::int64_t{1} << 40}));
  check_same_error<std::map<std::string, int>>(Value::dict({{"a", 1}, {"b", "c"}}));
  check_same_error<std::map<std::string, int>>(Value::dict({{1, 1}}));
  check_same_error<std::map<std::string, Strings>>(
      Value::dict({{"a", Value::list({"x", Value::list({})})}}));
  const Value whole = Value::dict({{"x", 1}, {"name", "n"}, {"tags", {}}});
  check_same_error<Points>(Value::list({whole, Value::dict({{"x", 1}, {"name", "n"}})}));
  check_same_error<Points>(
      Value::list({whole, Value::dict({{"name", 2}, {"x", 1}, {"tags", {}}})}));
  check_same_error<Points>(
      Value::list({Value::dict({{"x", 1}, {"name", "n"}, {"tags", Value::list({1})}})}));
  // Unknown members are detected when they arrive.
  CHECK(error_of<Points>(Value::list({Value::dict({{"x", 1}, {"y", 2}})}), true)
            .starts_with("at [0] the value has 'y', which struct{"));
}

TEST_CASE("large pickles are loaded, and refused where they are cut or changed") {
  using Points = std::vector<Point>;
  const TempDir dir;
  Points points;
  for (int i = 0; i < 25000; ++i) {
    points.push_back({i * 0.5, "point " + std::to_string(i), {{"a", std::to_string(i)}}});
  }
  for (const char* name : {"p.pkl", "p.pkl.gz", "p.pkl.zst"}) {
    hoist::dump(points, dir / name);
    CHECK((hoist::load<Points>(dir / name) == points));
    std::ifstream in(dir / name, std::ios::binary);
    CHECK((hoist::load<Points>(in) == points));
  }
  const std::string good = slurp(dir / "p.pkl");
  REQUIRE(good.size() > (std::size_t{1} << 20));
  const auto refuses = [&](const std::string& bytes) {
    spill(dir / "bad.pkl", bytes);
    try {
      (void)hoist::load<Points>(dir / "bad.pkl");
      return false;
    } catch (const hoist::Error&) {
      return true;
    }
  };
  CHECK(refuses(good + "x"));
  CHECK(refuses(good.substr(0, good.size() - 1)));
  CHECK(refuses(good.substr(0, good.size() / 2)));
  std::size_t changed = 0;
  for (std::size_t i = 100; i < good.size(); i += good.size() / 25) {
    std::string bytes = good;
    bytes[i] = static_cast<char>(bytes[i] ^ 0x41);
    changed += refuses(bytes) ? 1 : 0;
  }
  CHECK(changed > 0);
  CHECK_THROWS_WITH_AS(hoist::load<std::vector<std::string>>(dir / "p.pkl"),
                       doctest::Contains("at [0] the value is a dict where str is asked for"),
                       hoist::WrongType);
}

// The file is replaced before the second pass.
TEST_CASE("a pickle that changes between the passes is damaged") {
  namespace detail = hoist::detail;
  const TempDir dir;
  const auto write = [&](const Value& value) { hoist::dump(value, dir / "v.pkl"); };
  const Value one = Value::list({Value::list({"a", "b"}), Value::dict({{"k", Value::list({1})}})});
  const std::vector<Value> others{
      Value::list({Value::list({"a"}), Value::dict({{"k", Value::list({1})}})}),
      Value::list({Value::list({"a", "b", "c"}), Value::dict({{"k", Value::list({1})}})}),
      Value::list({Value::dict({{"a", "b"}}), Value::list({"k", Value::list({1})})}),
      Value::list({Value::list({"a", "b"}), Value::dict({{"k", Value::list({1})}}), 1}),
      Value::list({"a", "b"}),
      Value::list({Value::list({Value::list({}), "b"}), Value::list({1})}),
      Value::list({Value::tuple({Value::list({"a", "b"}), Value::list({1})}), 1}),
      Value::dict({{"a", one}}),
      Value(1)};
  for (const Value& other : others) {
    CAPTURE(other.to_string());
    write(one);
    detail::os::FileSource file(dir / "v.pkl");
    Input in(file, &file, "input", bounded, 1 << 24);
    in.begin_first_pass();
    const auto outline = detail::pickle::survey_pickle(in);
    REQUIRE(outline);
    write(other);
    detail::os::FileSource second(dir / "v.pkl");
    Input again(second, &second, "input", bounded, 1 << 24);
    support::Rebuilder to;
    try {
      detail::pickle::give_pickle(again, *outline, to);
      CHECK(to.complete());  // it fits the outline by chance
      CHECK(hoist::hash(to.take()) == hoist::hash(other));
    } catch (const hoist::DamagedData&) {
    }
  }
}
