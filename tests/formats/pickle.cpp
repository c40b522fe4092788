// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/dump.hpp>
#include <hoist/error.hpp>
#include <hoist/value.hpp>

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support/temp_dir.hpp"

using hoist::dump;
using hoist::load;
using hoist::Value;
using namespace std::string_view_literals;
using support::slurp;
using support::spill;
using support::TempDir;

namespace {

Value pair(const Value& a, const Value& b) { return Value::list({a, b}); }

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

// Each call took the memory of its text again, which a few opcodes can ask for a million times.
TEST_CASE("a pickle that asks for copies of one text again and again is refused") {
  const TempDir dir;
  const std::string text(1 << 20, 'a');
  const auto with_calls = [&](int n) {
    std::string pickle(
        "\x80\4](c_codecs\nencode\nq\0"
        "\x30X\0\0\x10\0"sv);
    pickle += text;
    pickle += "q\1\x30X\6\0\0\0latin1q\2\x30"sv;
    for (int i = 0; i < n; ++i) pickle += "h\0h\1h\2\x86R"sv;
    return pickle + "e.";
  };
  spill(dir / "once.pkl", with_calls(3));
  CHECK(load<Value>(dir / "once.pkl")[2] == Value::bytes(text));
  spill(dir / "often.pkl", with_calls(5000));
  CHECK_THROWS_AS(load<Value>(dir / "often.pkl"), hoist::LimitExceeded);
}
