// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/hash.hpp>
#include <hoist/values.hpp>

#include <cmath>
#include <valarray>

#include "support/values.hpp"

using support::round_trip;

namespace {

template <class T>
const std::string& schema() {
  return hoist::detail::schema_of<T>().text;
}

enum class Colour : unsigned char { red, green };

struct Point {
  double x, y;
  bool operator==(const Point&) const = default;
};

struct Model {
  int depth = 0;
  float rate = 0;
  std::string name;
  std::vector<Point> points;
  std::map<std::string, std::vector<int>> table;
  Colour colour = Colour::red;
  bool operator==(const Model&) const = default;
};

struct Tree {
  int value = 0;
  std::vector<Tree> children;
  std::unique_ptr<Tree> spare;
};

class Hidden {
 public:
  Hidden() = default;
  explicit Hidden(int a) : a_(a), big_(10000, 1.5) {}
  bool operator==(const Hidden&) const = default;

 private:
  friend struct hoist::Access;
  template <class Ar>
  void serialize(Ar& ar) {
    std::vector<double> temporary = big_;
    ar(a_, temporary);
    if (Ar::decoding) big_ = temporary;
  }
  int a_ = 0;
  std::vector<double> big_;
};

struct Link {
  int id = 0;
  std::shared_ptr<Link> next;
};

}  // namespace

TEST_CASE("scalars and text come back") {
  CHECK(round_trip(42) == 42);
  CHECK(round_trip(-1.5) == -1.5);
  CHECK(round_trip(true));
  CHECK(round_trip(Colour::green) == Colour::green);
  CHECK(round_trip(1.25L) == 1.25L);
  CHECK(round_trip(std::string("h\0i", 3)) == std::string("h\0i", 3));
  CHECK(round_trip(std::u16string(u"né")) == u"né");
  CHECK(round_trip(std::filesystem::path("/a/b")) == "/a/b");
  CHECK(round_trip(std::complex<double>(1, -2)) == std::complex<double>(1, -2));
  CHECK(round_trip(std::chrono::milliseconds(5)) == std::chrono::milliseconds(5));
}

TEST_CASE("every standard container comes back") {
  CHECK(round_trip(std::vector<int>{1, 2, 3}) == std::vector<int>{1, 2, 3});
  CHECK(round_trip(std::vector<double>(100000, 2.5)) == std::vector<double>(100000, 2.5));
  CHECK(round_trip(std::vector<bool>{true, false}) == std::vector<bool>{true, false});
  CHECK(round_trip(std::list<double>(10000, 1)) == std::list<double>(10000, 1));
  CHECK(round_trip(std::deque<std::string>{"a", "b"}) == std::deque<std::string>{"a", "b"});
  CHECK(round_trip(std::forward_list<int>{4, 5}) == std::forward_list<int>{4, 5});
  CHECK(round_trip(std::array<int, 3>{1, 2, 3}) == std::array<int, 3>{1, 2, 3});
  CHECK(round_trip(std::set<std::string>{"x", "y"}) == std::set<std::string>{"x", "y"});
  CHECK(round_trip(std::multimap<int, int>{{1, 2}, {1, 3}}) ==
        std::multimap<int, int>{{1, 2}, {1, 3}});
  CHECK(round_trip(std::unordered_map<int, std::string>{{1, "a"}, {2, "b"}}) ==
        std::unordered_map<int, std::string>{{1, "a"}, {2, "b"}});
  CHECK(round_trip(std::unordered_multiset<int>{1, 1, 2}) == std::unordered_multiset<int>{2, 1, 1});
  CHECK(round_trip(std::bitset<70>(0x5555)) == std::bitset<70>(0x5555));
  const auto numbers = round_trip(std::valarray<double>{1, 2});
  CHECK(numbers[1] == 2);
  CHECK(round_trip(std::valarray<double>()).size() == 0);
  const auto many = round_trip(std::valarray<double>(3.5, 10000));
  CHECK(many.size() == 10000);
  CHECK(many.sum() == 35000);
  const auto flags = round_trip(std::valarray<bool>{true, false, true});
  CHECK((flags.size() == 3 && flags[0] && !flags[1] && flags[2]));
  std::priority_queue<int> queue;
  queue.push(3);
  queue.push(9);
  CHECK(round_trip(queue).top() == 9);
  CHECK(round_trip(std::tuple<int, std::string, std::pair<char, long>>{1, "q", {'c', 2}}) ==
        std::tuple<int, std::string, std::pair<char, long>>{1, "q", {'c', 2}});
}

TEST_CASE("alternatives and pointers come back") {
  CHECK(round_trip(std::optional<int>{}) == std::nullopt);
  CHECK(round_trip(std::optional<int>{7}) == 7);
  using Choice = std::variant<std::monostate, int, std::string>;
  CHECK(round_trip(Choice("text")) == Choice("text"));
  CHECK(*round_trip(std::make_unique<int>(3)) == 3);

  const auto one = std::make_shared<std::string>("shared");
  const auto both = round_trip(std::vector{one, one, std::shared_ptr<std::string>{}});
  CHECK(both[0] == both[1]);
  CHECK(*both[0] == "shared");
  CHECK(both[2] == nullptr);
  // Sharing is no part of the value: copies hash like the shared object.
  CHECK(hoist::hash(std::vector{one, one}) ==
        hoist::hash(std::vector{one, std::make_shared<std::string>("shared")}));

  auto ring = std::make_shared<Link>(Link{1, nullptr});
  ring->next = std::make_shared<Link>(Link{2, ring});
  const auto back = round_trip(ring);
  CHECK(back->next->next == back);
  back->next->next.reset();
  ring->next->next.reset();
}

TEST_CASE("aggregates and classes with serialize come back") {
  const Model model{3, 0.5F, "net", {{1, 2}, {3, 4}}, {{"a", {1}}}, Colour::green};
  CHECK(round_trip(model) == model);
  CHECK(round_trip(Hidden(5)) == Hidden(5));
  Tree tree{1, {}, nullptr};
  tree.children.push_back({2, {}, std::make_unique<Tree>()});
  CHECK(round_trip(tree).children[0].spare->value == 0);
}

TEST_CASE("schemas name members and types") {
  CHECK(schema<Model>() ==
        "struct{depth:i32,rate:f32,name:str,points:[struct{x:f64,y:f64}],"
        "table:{str:[i32]},colour:u8}");
  CHECK(schema<Tree>() == "struct{value:i32,children:[^0],spare:?^0}");
  CHECK(schema<Hidden>() == "object(i32,[f64])");
  CHECK(schema<hoist::Array<const float>>() == "array<f32>");
  CHECK(schema<std::list<int>>() == schema<std::vector<int>>());
}

TEST_CASE("equal values hash equal, others differ") {
  using hoist::hash;
  CHECK(hash(1) != hash(1.0));
  CHECK(hash(1) != hash(true));
  CHECK(hash(1, 2) != hash(2, 1));
  CHECK(hash(std::string("ab"), std::string("c")) != hash(std::string("a"), std::string("bc")));
  std::unordered_map<int, int> up, down;
  for (int i = 0; i < 1000; ++i) up[i] = i;
  for (int i = 999; i >= 0; --i) down[i] = i;
  CHECK(hash(up) == hash(down));
  CHECK(hash(std::list<float>(9999, 1)) == hash(std::vector<float>(9999, 1)));
  // The digest of a value must not change between releases, or all cached results become misses.
  CHECK(hash(std::string("hoist"), 42, 0.5).hex() == "29069de8192c026c1e63f58409d3d794");
  CHECK(hoist::Digest::from_hex(hash(1).hex()) == hash(1));
  CHECK_THROWS_AS(hoist::Digest::from_hex("xyz"), hoist::BadArgument);
}

TEST_CASE("too deep a structure is refused, not overflowed") {
  std::unique_ptr<Tree> chain;
  for (int i = 0; i < 5000; ++i) {
    auto outer = std::make_unique<Tree>();
    outer->spare = std::move(chain);
    chain = std::move(outer);
  }
  CHECK_THROWS_AS(hoist::hash(chain), hoist::LimitExceeded);
  while (chain) chain = std::move(chain->spare);
}

TEST_CASE("a hasher knows how much it was given, also after its digest") {
  // What was in its buffer at the time of the digest was forgotten.
  for (const int n : {10, 100, 1000}) {
    hoist::detail::Hasher hasher;
    for (int i = 0; i < n; ++i) hasher.scalar(double(i));
    CHECK(hasher.volume() == static_cast<std::uint64_t>(n) * 8);
    hasher.digest();
    CHECK(hasher.volume() == static_cast<std::uint64_t>(n) * 8);
  }
}

namespace {

struct Hollow {
  std::monostate nothing;
};
/// Its structured bindings are not its members.
struct Folded {
  int first = 0;
  int second = 0;
};

template <class T>
T decoded_count(std::size_t n) {
  hoist::detail::Encoder encoder;
  encoder.length(n);
  const hoist::detail::Encoded encoded = encoder.take();
  hoist::detail::EncodedSource source(encoded);
  T value;
  hoist::detail::decode(source, value);
  return value;
}

}  // namespace

template <>
struct std::tuple_size<Folded> : std::integral_constant<std::size_t, 1> {};

TEST_CASE("a count of elements whose members take no bytes is bounded") {
  constexpr std::size_t many = std::size_t{1} << 40;
  CHECK_THROWS_AS(decoded_count<std::vector<Hollow>>(many), hoist::LimitExceeded);
  CHECK_THROWS_AS((decoded_count<std::vector<std::pair<Hollow, std::monostate>>>(many)),
                  hoist::LimitExceeded);
  CHECK_THROWS_AS((decoded_count<std::list<std::array<std::string, 0>>>(many)),
                  hoist::LimitExceeded);
  CHECK(decoded_count<std::vector<Hollow>>(3).size() == 3);
}

TEST_CASE("arrays without elements are values, classes whose bindings aren't members are none") {
  CHECK(round_trip(std::vector<std::array<int, 0>>(2)).size() == 2);
  CHECK(!hoist::Storable<Folded>);
}

TEST_CASE("a map may have constant values") {
  const std::map<int, const std::string> map{{1, "a"}};
  CHECK(round_trip(map) == map);
}

TEST_CASE("an array of more axes than can be read is not written") {
  const hoist::Array<int> array(hoist::Shape(65, 1));
  CHECK_THROWS_AS((void)hoist::detail::encode(array), hoist::BadArgument);
  CHECK(round_trip(hoist::Array<int>(hoist::Shape(64, 1))).ndim() == 64);
}
