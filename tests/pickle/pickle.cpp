// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/dump.hpp>
#include <hoist/error.hpp>
#include <hoist/value.hpp>

#include <sys/resource.h>

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <initializer_list>
#include <iterator>
#include <map>
#include <memory>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support/peak_memory.hpp"
#include "support/temp_dir.hpp"

using hoist::dump;
using hoist::load;
using hoist::Value;
using namespace std::string_literals;
using namespace std::string_view_literals;
using support::slurp;
using support::spill;
using support::TempDir;

namespace {

Value pair(const Value& a, const Value& b) { return Value::list({a, b}); }

std::string joined(std::initializer_list<std::string_view> parts) {
  std::string all;
  for (const std::string_view part : parts) all += part;
  return all;
}

/// Makes the dtype of a double, and keeps it as number 0.
constexpr std::string_view float_dtype =
    "\x80\2cnumpy\ndtype\nU\2f8K\0K\1\x87R"
    "(K\3U\1<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tbq\0\x30"sv;

}  // namespace

// Shared parts of a Value were written as often as they occurred.
TEST_CASE("what a Value holds several times is one object in a pickle") {
  const TempDir dir;
  const Value list = Value::list({1, 2});
  dump(pair(list, list), dir / "twice.pkl");
  CHECK(slurp(dir / "twice.pkl") == "\x80\4](](K\1K\2eq\0h\0e."sv);
  dump(pair(list, Value::list({1, 2})), dir / "equal.pkl");
  CHECK(slurp(dir / "equal.pkl") == "\x80\4](](K\1K\2e](K\1K\2ee."sv);

  hoist::Array<double> elements({2});
  elements[1] = 5;
  const std::vector<Value> parts{list,
                                 Value::tuple({1, list}),
                                 Value::set({1}),
                                 Value::sequence(Value::Kind::frozen_set, {1}),
                                 Value::dict({{"a", list}}),
                                 Value(elements),
                                 Value::bytes("text"),
                                 Value::objects({2}, hoist::Order::c, {list, list})};
  for (const char* name : {"all.pkl", "all.pkl.gz"}) {
    dump(pair(Value::list(parts), Value::list(parts)), dir / name);
    const Value again = load<Value>(dir / name);
    CHECK(again[0] == Value::list(parts));
    for (std::size_t i = 0; i < parts.size(); ++i) {
      CAPTURE(parts[i].kind_name());
      CHECK(again[0][i].node() == again[1][i].node());
    }
    CHECK(again[0][0].node() == again[0][1][1].node());
    const Value& objects = again[0].items().back();
    CHECK(objects.items()[0].node() == objects.items()[1].node());
  }

  std::vector<Value> many;
  for (int i = 0; i < 300; ++i) many.push_back(Value::list({i}));
  dump(pair(Value::list(many), Value::list(many)), dir / "many.pkl");
  const Value again = load<Value>(dir / "many.pkl");
  CHECK(again[0] == Value::list(many));
  CHECK(again[1][299].node() == again[0][299].node());

  Value doubled = list;
  for (int i = 0; i < 100; ++i) doubled = pair(doubled, doubled);
  dump(doubled, dir / "doubled.pkl");
  CHECK(slurp(dir / "doubled.pkl").size() < 1000);
  CHECK_THROWS_AS(load<Value>(dir / "doubled.pkl"), hoist::LimitExceeded);

  const auto object = std::make_shared<std::vector<std::string>>(3, "word");
  dump(std::pair(object, object), dir / "pointers.pkl");
  const Value pointers = load<Value>(dir / "pointers.pkl");
  CHECK(pointers[0].node() == pointers[1].node());
}

// Each call copied its text, which a few opcodes can request a million times. Bytes made of a large
// text share its memory; small text is copied.
TEST_CASE("a pickle that asks for copies of one text again and again is refused") {
  const TempDir dir;
  const auto with_calls = [&](const std::string& text, int n) {
    std::string pickle(
        "\x80\4](c_codecs\nencode\nq\0"
        "\x30X"sv);
    const auto size = static_cast<std::uint32_t>(text.size());
    pickle.append(reinterpret_cast<const char*>(&size), sizeof size);
    pickle += text;
    pickle += "q\1\x30X\6\0\0\0latin1q\2\x30"sv;
    for (int i = 0; i < n; ++i) pickle += "h\0h\1h\2\x86R"sv;
    return pickle + "e.";
  };
  const std::string large(1 << 20, 'a'), small(4000, 'a');
  spill(dir / "once.pkl", with_calls(small, 3));
  CHECK(load<Value>(dir / "once.pkl")[2] == Value::bytes(small));
  spill(dir / "often.pkl", with_calls(small, 100'000));
  CHECK_THROWS_AS(load<Value>(dir / "often.pkl", {.limits = {.max_memory = 64 << 20}}),
                  hoist::LimitExceeded);
  spill(dir / "shared.pkl", with_calls(large, 5000));
  const Value shared = load<Value>(dir / "shared.pkl", {.limits = {.max_memory = 64 << 20}});
  CHECK(shared.size() == 5000);
  CHECK(shared[4999] == Value::bytes(large));
}

// The copies were made, gigabytes for a file of some 100 KB, and nothing counted them.
TEST_CASE("a pickle that asks for copies of one container again and again is refused") {
  const TempDir dir;
  const auto refused = [&](std::string pickle, std::string_view setup, std::string_view copy) {
    pickle += setup;
    for (int i = 0; i < 400; ++i) pickle += copy;
    spill(dir / "often.pkl", pickle + "e.");
    CHECK_THROWS_AS(load<Value>(dir / "often.pkl", {.limits = {.max_memory = 16 << 20}}),
                    hoist::LimitExceeded);
  };
  std::string list("\x80\2]q\0("sv), dict("\x80\2}q\0("sv);
  for (int i = 0; i < 10'000; ++i) {
    list += "K\1"sv;
    dict += "M"sv;
    dict += static_cast<char>(i);
    dict += static_cast<char>(i >> 8);
    dict += "K\1"sv;
  }
  refused(list, "e0cbuiltins\nset\nq\1\x30]("sv, "h\1h\0\x85R"sv);
  refused(list, "e0cbuiltins\nfrozenset\nq\1\x30]("sv, "h\1h\0\x85R"sv);
  refused(dict, "u0ccollections\nCounter\nq\1\x30]("sv, "h\1h\0\x85R"sv);
  constexpr std::string_view objects =
      "e0cnumpy\ndtype\nU\2O8K\0K\1\x87R(K\3U\1|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK?tbq\1\x30"
      "(K\1M\x10'\x85h\1\x89h\0tq\2\x30"
      "cnumpy.core.multiarray\n_reconstruct\nq\3\x30"
      "(cnumpy\nndarray\nK\0\x85U\1btq\4\x30]("sv;
  refused(list, objects, "h\3h\4Rh\2b"sv);
}

// Its parts are few, but each walk over the whole came to 100 parts of each part.
TEST_CASE("a dtype of structures that share their parts is refused, not walked for hours") {
  const TempDir dir;
  std::string pickle(float_dtype);
  for (char level = 0; level < 8; ++level) {
    std::string names, fields;
    for (char i = 0; i < 100; ++i) {
      const std::string name{'U', '\1', i};
      names += name;
      fields += joined({name, "h", {&level, 1}, "K\0\x86"sv});
    }
    const char made = static_cast<char>(level + 1);
    pickle += joined({"cnumpy\ndtype\nU\2V8K\0K\1\x87R(K\3U\1|N("sv,
                      names,
                      "t}(",
                      fields,
                      "uK\bK\1K\x10tbq"sv,
                      {&made, 1},
                      "0"});
  }
  spill(dir / "shared.pkl", pickle + "N.");
  CHECK_THROWS_AS(load<Value>(dir / "shared.pkl"), hoist::LimitExceeded);
}

TEST_CASE("a pickle that asks for copies of one scalar or name again and again is refused") {
  const TempDir dir;
  const hoist::LoadOptions bounded{.limits = {.max_memory = 16 << 20}};
  const std::string text = joined({"X\0\0\1\0"sv, std::string(1 << 16, 'a')});
  std::string scalars = joined(
      {"\x80\2cnumpy\ndtype\nX\6\0\0\0S65536K\0K\1\x87R(K\3U\1|NNNJ\0\0\1\0K\1K\0tbq\0\x30"sv, text,
       "q\1\x30"sv, "cnumpy.core.multiarray\nscalar\nq\2\x30]("sv});
  for (int i = 0; i < 2000; ++i) scalars += "h\2h\0h\1\x86R"sv;
  spill(dir / "scalars.pkl", scalars + "e.");
  CHECK_THROWS_AS(load<Value>(dir / "scalars.pkl", bounded), hoist::LimitExceeded);
  std::string names =
      joined({float_dtype, text, "q\1\x30"sv, "cnumpy\ndtype\nU\2V8K\0K\1\x87R(K\3U\1|N("sv});
  for (int i = 0; i < 2000; ++i) names += "h\1"sv;
  spill(dir / "names.pkl", joined({names, "t}h\1h\0K\0\x86sK\bK\1K\x10tb."sv}));
  CHECK_THROWS_AS(load<Value>(dir / "names.pkl", bounded), hoist::LimitExceeded);
}

// The first pass reads an array of objects, too. What it read past its buffer was missing in the
// second one, where the source can't be read again.
TEST_CASE("arrays of objects with large parts are read from streams") {
  const auto length = [](std::size_t n) {
    const auto size = static_cast<std::uint32_t>(n);
    return std::string(reinterpret_cast<const char*>(&size), sizeof size);
  };
  const std::string object_dtype =
      "cnumpy\ndtype\nU\2O8K\0K\1\x87R"
      "(K\3U\1|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK?tb"s;
  for (const std::size_t n : {5000UL, 60'000UL, 70'000UL, 3'000'000UL}) {
    std::string bytes, text;
    while (bytes.size() < n) bytes += static_cast<char>(bytes.size() * 7 % 251);
    while (text.size() < n) text += text.size() > n / 2 ? "\xE4\xB8\xAD" : "\xC3\xA9";
    const std::string parts =
        joined({"B", length(bytes.size()), bytes, "X", length(text.size()), text});
    const std::string pickle =
        joined({"\x80\3](cjoblib.numpy_pickle\nNumpyArrayWrapper\n)\x81}("
                "U\bsubclasscnumpy\nndarray\nU\5shapeK\2\x85U\5orderU\1CU\5dtype"sv,
                object_dtype,
                "U\nallow_mmap\x89ub"
                "\x80\3cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85U\1b\x87R"
                "(K\1K\2\x85"sv,
                object_dtype, "\x89](", parts, "etb.", parts, "e."});
    std::istringstream in(pickle);
    const Value value = load<Value>(in);
    REQUIRE(value.size() == 3);
    CHECK((value[0].items()[0] == Value::bytes(bytes)));
    CHECK((value[0].items()[1].as_text() == text));
    CHECK((value[1] == Value::bytes(bytes)));
    CHECK((value[2].as_text() == text));
  }
}

TEST_CASE("large texts of every kind are what they were, and damaged ones are refused") {
  const TempDir dir;
  const auto binary = [](const std::string& text) {
    std::string pickle("\x80\2X");
    const auto size = static_cast<std::uint32_t>(text.size());
    pickle.append(reinterpret_cast<const char*>(&size), sizeof size);
    return pickle + text + ".";
  };
  std::string filler;
  while (filler.size() < 66000) filler += "a\xC3\xA9\xC2\x80";
  for (std::size_t n :
       {std::size_t{0}, std::size_t{5000}, std::size_t{65534}, std::size_t{65999}}) {
    if (n > 0) n -= (filler.substr(0, n).back() & 0x40) != 0;  // not behind a leading byte
    for (const char* odd : {"", "\xE4\xB8\xAD", "\xF0\x9F\x8D\x8B", "\xED\xA0\x80"}) {
      const std::string text = filler.substr(0, n) + odd + filler;
      spill(dir / "x.pkl", binary(text));
      CHECK((load<Value>(dir / "x.pkl").as_text() == text));
      CHECK((load<std::string>(dir / "x.pkl") == text));
    }
    for (const char* bad : {"\xFF", "\xC3", "\xC3(", "\xC0\x80", "\xE4\xB8", "\x80"}) {
      spill(dir / "x.pkl", binary(filler.substr(0, n) + bad + filler));
      CHECK_THROWS_AS(load<Value>(dir / "x.pkl"), hoist::DamagedData);
      spill(dir / "x.pkl", binary(filler + bad));
      CHECK_THROWS_AS(load<Value>(dir / "x.pkl"), hoist::DamagedData);
    }
  }
  const std::string a(5000, 'a');
  const auto line = [&](const std::string& text) {
    spill(dir / "x.pkl", text);
    return load<Value>(dir / "x.pkl");
  };
  CHECK((line("V" + a + "\\u00e9\xE9\\x\\\n.").as_text() == a + "\xC3\xA9\xC3\xA9\\x\\"));
  CHECK((line("V" + a + "\xE9\\U0001f34b\xE9\n.").as_text() ==
         a + "\xC3\xA9\xF0\x9F\x8D\x8B\xC3\xA9"));
  CHECK((line("S'" + a + "'\\'\\x41\\101\\18\\n'\n.").as_text() == a + "''AA\1" + "8\n"));
  CHECK((line("S\"" + a + "\\xe9\"\n.").as_bytes() == a + "\xE9"));
  for (const char* bad : {"\\u00\n.", "\\u00g0\n.", "\\U00110000\n.", "\\u\n.", ""}) {
    CHECK_THROWS_AS(line("V" + a + bad), hoist::DamagedData);
    CHECK_THROWS_AS(line(std::string("V") + bad), hoist::DamagedData);
  }
  for (const char* bad : {"\n.", "\\'\n.", "\\\n.", "\\x1\n.", "\\xg1'\n.", "\"\n.", ""}) {
    CHECK_THROWS_AS(line("S'" + a + bad), hoist::DamagedData);
    CHECK_THROWS_AS(line(std::string("S'") + bad), hoist::DamagedData);
  }
}

// --- typed values are written to a pickle while they are encoded, by the MiB --------------------

namespace {

struct Person {
  std::string name;
  std::shared_ptr<Person> parent;
  std::vector<double> heights;
};

/// Some MiB of small parts.
std::vector<std::string> many_texts() {
  std::vector<std::string> all;
  for (int i = 0; i < 100000; ++i) all.push_back("text number " + std::to_string(i));
  return all;
}

struct Stubborn {
  std::vector<std::string> texts = many_texts();
  template <class Ar>
  void serialize(Ar& ar) {
    for (int i = 0; i < 5; ++i) {
      try {
        ar(texts);
      } catch (const std::exception&) {
      }
    }
  }
};

struct Fragile {
  std::vector<std::string> texts = many_texts();
  int fails_at = -1;
  template <class Ar>
  void serialize(Ar& ar) {
    for (int i = 0; i < 3; ++i) {
      if (i == fails_at) throw std::runtime_error("no more");
      ar(texts);
    }
  }
};

}  // namespace

TEST_CASE("large values of small parts come back from pickles") {
  const TempDir dir;
  const auto texts = many_texts();
  std::map<std::string, std::vector<std::vector<std::string>>> nested{
      {"a", {texts, {"x"}}}, {"b", {}}, {"c", {{}, texts}}};
  std::vector<std::vector<double>> rows;
  for (std::size_t i = 0; i < 3000; ++i) rows.emplace_back(i, static_cast<double>(i));
  for (const char* extension : {".pkl", ".joblib", ".pkl.gz"}) {
    CAPTURE(extension);
    const auto path = dir / ("value" + std::string(extension));
    dump(texts, path);
    CHECK(load<std::vector<std::string>>(path) == texts);
    dump(nested, path);
    CHECK((load<decltype(nested)>(path) == nested));
    dump(rows, path);
    CHECK((load<decltype(rows)>(path) == rows));
    dump(std::set<std::string>(texts.begin(), texts.end()), path);
    CHECK(load<std::set<std::string>>(path).size() == texts.size());
  }
}

TEST_CASE("objects behind shared pointers stay one in a pickle of many parts") {
  const TempDir dir;
  std::vector<std::shared_ptr<Person>> people{std::make_shared<Person>(Person{"first", {}, {}})};
  for (int i = 0; i < 40000; ++i) {
    people.push_back(std::make_shared<Person>(
        Person{"person number " + std::to_string(i), people[static_cast<std::size_t>(i) / 2], {}}));
  }
  people.emplace_back();
  people.push_back(people[7]);
  dump(people, dir / "people.pkl");
  const auto again = load<std::vector<std::shared_ptr<Person>>>(dir / "people.pkl");
  REQUIRE(again.size() == people.size());
  CHECK(again.back() == again[7]);
  CHECK(again[again.size() - 2] == nullptr);
  std::size_t right = 0;
  for (std::size_t i = 1; i <= 40000; ++i) {
    right += again[i]->parent == again[(i - 1) / 2] && again[i]->name == people[i]->name ? 1 : 0;
  }
  CHECK(right == 40000);
  const std::map<std::shared_ptr<int>, std::shared_ptr<int>> same{
      {std::make_shared<int>(1), std::make_shared<int>(2)}};
  dump(same, dir / "same.pkl");
  CHECK(*load<std::map<std::shared_ptr<int>, std::shared_ptr<int>>>(dir / "same.pkl")
             .begin()
             ->second == 2);

  const auto circle = std::make_shared<Person>();
  circle->parent = circle;
  CHECK_THROWS_AS(dump(circle, dir / "circle.pkl"), hoist::CannotTravel);
  circle->parent = nullptr;
}

// User code may catch an exception of the writer and continue.
TEST_CASE(
    "a full disk midway in a pickle is an error, whoever catches it, and leaves the old file") {
  const TempDir dir;
  const auto path = dir / "value.pkl";
  dump(7, path);
  CHECK(support::peak_growth([&] {
          std::signal(SIGXFSZ, SIG_IGN);
          const rlimit few{3 << 20, 3 << 20};
          ::setrlimit(RLIMIT_FSIZE, &few);
          try {
            dump(Stubborn(), path);
          } catch (const hoist::SystemError& error) {
            if (error.code() == EFBIG) return;
          }
          throw 0;
        }) != ~std::size_t{0});
  CHECK(load<int>(path) == 7);
  CHECK(std::distance(std::filesystem::directory_iterator(dir.path()), {}) == 1);
}

TEST_CASE("a dump to a pickle that ends midway leaves the old file") {
  const TempDir dir;
  for (const char* extension : {".pkl", ".pkl.zst"}) {
    const auto path = dir / ("value" + std::string(extension));
    dump(7, path);
    Fragile fragile;
    for (fragile.fails_at = 0; fragile.fails_at < 3; ++fragile.fails_at) {
      CHECK_THROWS_WITH_AS(dump(fragile, path), "no more", std::runtime_error);
    }
    std::multimap<std::string, std::string> twice;
    for (const auto& text : many_texts()) twice.emplace(text, text);
    twice.emplace("z", "1");
    twice.emplace("z", "2");
    CHECK_THROWS_WITH_AS(dump(twice, path), doctest::Contains("can't have the key 'z' twice"),
                         hoist::BadArgument);
    std::multimap<std::pair<int, int>, int> pairs{{{1, 2}, 3}, {{1, 2}, 4}};
    CHECK_THROWS_AS(dump(pairs, path), hoist::BadArgument);
    CHECK(load<int>(path) == 7);
  }
  CHECK(std::distance(std::filesystem::directory_iterator(dir.path()), {}) == 2);
}
