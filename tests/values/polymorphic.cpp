// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/dump.hpp>
#include <hoist/hash.hpp>
#include <hoist/memory.hpp>
#include <hoist/parallel.hpp>
#include <hoist/polymorphic.hpp>

#include "support/temp_dir.hpp"
#include "support/values.hpp"

// Objects of derived classes that are known by their base. They were cut to the base: cached calls
// with different objects shared a key, and files and tasks held the base alone.

namespace {

using support::round_trip;
using support::TempDir;

struct Body {
  explicit Body(int i = 0) : id(i) {}
  Body(const Body&) = default;
  virtual ~Body() = default;
  virtual double area() const { return 0; }
  template <class Ar>
  void serialize(Ar& ar) {
    ar(id);
  }
  int id = 0;
};
struct Disc : Body {
  explicit Disc(double x = 0) : r(x) {}
  double area() const override { return 3 * r * r; }
  template <class Ar>
  void serialize(Ar& ar) {
    Body::serialize(ar);
    ar(r);
  }
  double r;
};
/// Visits its base as one of its members; holds others, and arrays.
struct Group final : Body {
  double area() const override {
    double sum = 0;
    for (const auto& part : parts) sum += part->area();
    return sum;
  }
  template <class Ar>
  void serialize(Ar& ar) {
    ar(static_cast<Body&>(*this), parts, weights);
  }
  std::vector<std::unique_ptr<Body>> parts;
  std::vector<double> weights = std::vector<double>(1000, 0.5);
};
struct Unknown : Body {
  double area() const override { return more; }
  template <class Ar>
  void serialize(Ar& ar) {
    Body::serialize(ar);
    ar(more);
  }
  double more = 1;
};
/// Derived, registered for its virtual base.
struct Left : virtual Body {
  template <class Ar>
  void serialize(Ar& ar) {
    Body::serialize(ar);
    ar(left);
  }
  double area() const override { return left; }
  double left = 0;
};

struct Shape {
  virtual ~Shape() = default;
  virtual double area() const = 0;
};
struct Square : Shape {
  explicit Square(double x = 0) : side(x) {}
  double area() const override { return side * side; }
  template <class Ar>
  void serialize(Ar& ar) {
    ar(side, next);
  }
  double side;
  std::shared_ptr<Shape> next;
};

const Disc a_disc(2);
const Body a_body(3);
const bool known =
    hoist::register_derived<Body, Disc, Group, Left>() && hoist::register_derived<Shape, Square>();

struct Scene {
  std::unique_ptr<Body> one;
  std::map<std::string, std::shared_ptr<Body>> more;
  std::unique_ptr<Shape> shape;
};

double area(const Body& body) { return body.area(); }
double area_of_shape(const Shape& shape) { return shape.area(); }
// NOLINTNEXTLINE(bugprone-return-const-ref-from-parameter)
const Body& same(const Body& body) { return body; }
std::unique_ptr<Body> twice(std::unique_ptr<Body> body) {
  return std::make_unique<Disc>(body->area() * 2);
}
std::unique_ptr<Body> an_unknown(int) { return std::make_unique<Unknown>(); }

std::string message_of(const std::function<void()>& run) {
  try {
    run();
  } catch (const hoist::Error& error) {
    return error.what();
  }
  return {};
}

}  // namespace

TEST_CASE("objects behind pointers to their base come back in full") {
  CHECK(round_trip(std::unique_ptr<Body>(new Disc(2)))->area() == 12);
  CHECK(round_trip(std::shared_ptr<Body>(new Disc(2)))->area() == 12);
  CHECK(round_trip(std::unique_ptr<Body>(new Body(7)))->id == 7);
  CHECK(round_trip(std::unique_ptr<const Body>(new Disc(2)))->area() == 12);
  CHECK(round_trip(std::unique_ptr<Body>()) == nullptr);
  CHECK(round_trip(std::unique_ptr<Shape>(new Square(3)))->area() == 9);
  auto left = std::make_unique<Left>();
  left->left = 5;
  CHECK(round_trip(std::unique_ptr<Body>(std::move(left)))->area() == 5);

  auto group = std::make_unique<Group>();
  group->id = 4;
  group->parts.push_back(std::make_unique<Disc>(1));
  group->parts.push_back(std::make_unique<Disc>(2));
  group->parts.push_back(std::make_unique<Body>(3));
  Scene scene;
  scene.more["a"] = std::make_shared<Disc>(3);
  scene.more["b"] = scene.more["a"];
  scene.shape = std::make_unique<Square>(2);
  scene.one = std::move(group);
  const Scene back = round_trip(scene);
  CHECK(back.one->area() == 15);
  CHECK(back.one->id == 4);
  CHECK(dynamic_cast<Group&>(*back.one).parts[2]->id == 3);
  CHECK(back.more.at("a")->area() == 27);
  CHECK(back.more.at("a") == back.more.at("b"));
  CHECK(back.shape->area() == 4);

  const auto ring = std::make_shared<Square>(1);
  ring->next = std::make_shared<Square>(2);
  std::static_pointer_cast<Square>(ring->next)->next = ring;
  const auto again = round_trip(std::shared_ptr<Shape>(ring));
  auto& first = dynamic_cast<Square&>(*again);
  auto& second = dynamic_cast<Square&>(*first.next);
  CHECK(second.side == 2);
  CHECK(second.next == again);
  second.next.reset();
  ring->next.reset();
}

TEST_CASE("different objects have different hashes, whatever names them") {
  const Disc one(1), two(2);
  const Body& as_body = one;
  CHECK(hoist::hash(as_body) != hoist::hash(static_cast<const Body&>(two)));
  CHECK(hoist::hash(as_body) != hoist::hash(Body()));
  CHECK(hoist::hash(as_body) == hoist::hash(static_cast<const Body&>(Disc(1))));
  const Square a(1), b(2);
  CHECK(hoist::hash(static_cast<const Shape&>(a)) != hoist::hash(static_cast<const Shape&>(b)));
  const Unknown unknown;
  const auto why = message_of([&] { (void)hoist::hash(static_cast<const Body&>(unknown)); });
  CHECK(why.find("Unknown") != std::string::npos);
  CHECK(why.find("hoist::register_derived<") != std::string::npos);
  CHECK_THROWS_AS(hoist::hash(static_cast<const Body&>(unknown)), hoist::BadArgument);
  CHECK_THROWS_AS(hoist::hash(std::unique_ptr<Body>(new Unknown)), hoist::BadArgument);
  CHECK_THROWS_AS(hoist::hash(std::shared_ptr<Body>(new Unknown)), hoist::BadArgument);
}

TEST_CASE("files hold the whole object or none") {
  const TempDir dir;
  const auto path = dir.path() / "scene.hoist";
  hoist::dump(std::unique_ptr<Body>(new Disc(2)), path);
  CHECK(hoist::load<std::unique_ptr<Body>>(path)->area() == 12);
  CHECK(hoist::load<hoist::Value>(path).items()[1].as_double() == 2);
  const Disc disc(2);
  CHECK_THROWS_AS(hoist::dump(static_cast<const Body&>(disc), path), hoist::BadArgument);
  CHECK_THROWS_AS(hoist::dump(std::unique_ptr<Body>(new Unknown), path), hoist::BadArgument);
  CHECK_THROWS_AS(hoist::dump(std::shared_ptr<Body>(new Unknown), path), hoist::BadArgument);

  // Data of a program that knows more classes, or knows them otherwise.
  const auto encode = [](const std::string& name, const std::string& schema) {
    hoist::detail::Encoder encoder;
    bool present = true;
    hoist::detail::Form<bool>::traverse(encoder, present);
    encoder.length(0);
    hoist::detail::Form<std::string>::traverse(encoder, name);
    hoist::detail::Form<std::string>::traverse(encoder, schema);
    encoder.scalar(1);
    encoder.scalar(2.0);
    return encoder.take();
  };
  const auto decode = [](const hoist::detail::Encoded& encoded) {
    hoist::detail::EncodedSource source(encoded);
    std::unique_ptr<Body> body;
    hoist::detail::decode(source, body);
  };
  const std::string disc_name = hoist::detail::readable_type(typeid(Disc));
  CHECK_NOTHROW(decode(encode(disc_name, "object(i32,f64)")));
  CHECK_THROWS_AS(decode(encode(disc_name, "object(i32,f32)")), hoist::WrongType);
  CHECK_THROWS_AS(decode(encode("Ring", "object(i32,f64)")), hoist::WrongType);
  const auto why = message_of([&] { decode(encode("Ring", "object(i32,f64)")); });
  CHECK(why.find("Ring") != std::string::npos);
  CHECK(why.find("register_derived") != std::string::npos);
}

TEST_CASE("cached calls tell derived objects apart") {
  const TempDir dir;
  const hoist::Memory memory(dir.path());
  const auto cached = memory.cache(area);
  CHECK(cached(Disc(1)) == 3);
  CHECK(cached(Disc(2)) == 12);
  CHECK(cached(Disc(2)) == 12);
  CHECK(cached(Body(1)) == 0);
  const Disc three(3);
  CHECK(cached(std::cref(three)) == 27);
  CHECK(memory.stats().hits == 1);
  CHECK_THROWS_AS(cached(Unknown()), hoist::BadArgument);
  const auto of_shape = memory.cache(area_of_shape);
  CHECK(of_shape(Square(2)) == 4);
  CHECK(of_shape(Square(3)) == 9);
  const auto doubled = memory.cache(twice);
  CHECK(doubled(std::make_unique<Disc>(1))->area() == 108);
  CHECK(doubled(std::make_unique<Disc>(1))->area() == 108);
  CHECK(doubled(std::make_unique<Body>(1))->area() == 0);
  // A result by reference is copied, and would be cut on a miss and on a hit.
  CHECK(memory.cache(same)(Body(5)).id == 5);
  CHECK_THROWS_AS(memory.cache(same)(Disc(5)), hoist::BadArgument);
}

TEST_CASE("tasks take and return derived objects") {
  const Disc one(1), two(2);
  const Unknown unknown;
  for (const char* backend : {"threads", "fork", "spawn"}) {
    CAPTURE(backend);
    const hoist::Parallel parallel({.n_jobs = 2, .backend = backend});
    const std::vector<std::reference_wrapper<const Body>> bodies{one, two};
    CHECK(parallel.map(bodies, area) == std::vector<double>{3, 12});
    std::vector<std::unique_ptr<Body>> owned;
    owned.push_back(std::make_unique<Disc>(1));
    owned.push_back(std::make_unique<Disc>(2));
    const auto areas =
        parallel.map(owned, [](const std::unique_ptr<Body>& body) { return body->area(); });
    CHECK(areas == std::vector<double>{3, 12});
    const auto made = parallel.map(std::vector<double>{1, 2},
                                   [](double r) { return std::unique_ptr<Body>(new Disc(r)); });
    CHECK(made[1]->area() == 12);
  }
  const hoist::Parallel spawn({.n_jobs = 1, .backend = "spawn"});
  const std::vector<std::reference_wrapper<const Body>> unknowns{unknown};
  CHECK_THROWS_AS(spawn.map(unknowns, area), hoist::CannotTravel);
  CHECK_THROWS_AS(spawn.map(std::vector<int>{1}, an_unknown), hoist::CannotTravel);
  const hoist::Parallel fork({.n_jobs = 1, .backend = "fork"});
  CHECK_THROWS_AS(fork.map(std::vector<int>{1}, an_unknown), hoist::CannotTravel);
  CHECK(fork.map(unknowns, area) == std::vector<double>{1});
  CHECK(known);
}

TEST_CASE("an object and its first member are two objects behind shared pointers") {
  // They have one address. The file could not be read.
  struct Outer {
    int first = 3;
    int second = 4;
  };
  const auto outer = std::make_shared<Outer>();
  const auto both = round_trip(std::pair(outer, std::shared_ptr<int>(outer, &outer->first)));
  CHECK(both.first->second == 4);
  CHECK(*both.second == 3);
}

TEST_CASE("a delayed call and a loop that reads its input copy no derived object as its base") {
  const Disc disc(2);
  const Body& as_body = disc;
  const auto area = [](const Body& body) { return body.area(); };
  CHECK(message_of([&] { (void)hoist::delayed(area)(as_body); }).find("Disc") != std::string::npos);
  CHECK(std::get<0>(hoist::Parallel({.n_jobs = 2, .backend = "threads"})(
            hoist::delayed(area)(std::cref(as_body)))) == disc.area());
  std::istringstream one_pass("1 2");
  auto bodies = std::views::istream<int>(one_pass) |
                std::views::transform([&](int) -> const Body& { return as_body; });
  CHECK(message_of([&] {
          (void)hoist::Parallel({.n_jobs = 2, .backend = "threads"}).map(bodies, area);
        }).find("Disc") != std::string::npos);
}

TEST_CASE("a task that returns a reference to a derived object returns no copy of its base") {
  const auto pick = [](int i) -> const Body& {
    return i == 0 ? static_cast<const Body&>(a_disc) : a_body;
  };
  for (const char* backend : {"threads", "fork", "spawn"}) {
    CAPTURE(backend);
    const hoist::Parallel parallel({.n_jobs = 2, .backend = backend});
    CHECK(parallel.map(std::vector<int>{1, 1}, pick).at(1).id == 3);
    CHECK(message_of([&] { (void)parallel.map(std::vector<int>{1, 0}, pick); }).find("Disc") !=
          std::string::npos);
    CHECK(message_of([&] { (void)parallel(std::vector{hoist::delayed(pick)(0)}); }).find("Disc") !=
          std::string::npos);
    CHECK(message_of([&] {
            (void)parallel(hoist::delayed(pick)(1), hoist::delayed(pick)(0));
          }).find("Disc") != std::string::npos);
  }
}
