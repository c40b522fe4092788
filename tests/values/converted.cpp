// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/dump.hpp>
#include <hoist/hash.hpp>

#include <chrono>
#include <cstdint>
#include <future>
#include <ios>
#include <locale>
#include <random>
#include <string>
#include <system_error>
#include <vector>

#include "support/temp_dir.hpp"
#include "support/values.hpp"

using support::round_trip;
using support::TempDir;

namespace {

template <class Engine>
void goes_on() {
  Engine engine(42);
  engine.discard(1000);
  Engine back = round_trip(engine);
  CHECK(back == engine);
  for (int i = 0; i < 2000; ++i) REQUIRE(back() == engine());
  CHECK(hoist::hash(engine) != hoist::hash(Engine(42)));
  CHECK(hoist::hash(back) == hoist::hash(engine));
}

struct OtherCategory : std::error_category {
  const char* name() const noexcept override { return "generic"; }
  std::string message(int) const override { return "other"; }
};

struct Simulation {
  std::mt19937 random;
  std::chrono::year_month_day start;
};

/// Writes numbers with separators.
struct Grouping : std::numpunct<char> {
  std::string do_grouping() const override { return "\3"; }
  char do_thousands_sep() const override { return ','; }
};

}  // namespace

TEST_CASE("random engines go on with the same sequence") {
  goes_on<std::mt19937>();
  goes_on<std::mt19937_64>();
  goes_on<std::minstd_rand>();
  goes_on<std::default_random_engine>();

  const TempDir dir;
  Simulation simulation{std::mt19937(1), std::chrono::year(2024) / 2 / 29};
  simulation.random();
  for (const char* name : {"s.hoist", "s.joblib"}) {
    hoist::dump(simulation, dir / name);
    auto back = hoist::load<Simulation>(dir / name);
    CHECK(back.random == simulation.random);
    CHECK(back.start == simulation.start);
  }
  hoist::dump(std::mt19937_64(1), dir / "other");
  CHECK_THROWS_AS(hoist::load<std::mt19937>(dir / "other"), hoist::WrongType);
  hoist::dump(std::string("1 2 x"), dir / "other");
  CHECK_THROWS_AS(hoist::load<std::mt19937_64>(dir / "other"), hoist::WrongType);
}

TEST_CASE("the state of a random engine does not depend on the locale") {
  const std::mt19937 engine(7);
  const auto expected = hoist::hash(engine);
  const std::locale before = std::locale::global(std::locale(std::locale(), new Grouping));
  CHECK(hoist::hash(engine) == expected);
  CHECK(round_trip(engine) == engine);
  std::locale::global(before);
}

TEST_CASE("error codes keep their category") {
  for (const std::error_code& code :
       {std::error_code(), std::make_error_code(std::errc::io_error),
        std::error_code(2, std::system_category()), std::make_error_code(std::io_errc::stream),
        std::make_error_code(std::future_errc::broken_promise)}) {
    CHECK(round_trip(code) == code);
  }
  CHECK(hoist::hash(std::error_code(2, std::system_category())) !=
        hoist::hash(std::error_code(2, std::generic_category())));
  const OtherCategory other;
  CHECK_THROWS_AS(hoist::hash(std::error_code(2, other)), hoist::CannotTravel);
  const TempDir dir;
  CHECK_THROWS_WITH_AS(hoist::dump(std::error_code(2, other), dir / "e"),
                       doctest::Contains("the category generic: only those of"),
                       hoist::CannotTravel);
  hoist::dump(hoist::detail::ErrorNumber{"mine", 2}, dir / "e");
  CHECK_THROWS_WITH_AS(hoist::load<std::error_code>(dir / "e").value(), doctest::Contains("mine"),
                       hoist::WrongType);
}

TEST_CASE("dates come back, also those that don't exist") {
  using namespace std::chrono;
  const TempDir dir;
  for (const year_month_day& date :
       {year(2024) / 2 / 29, year(2023) / 2 / 30, year(-32767) / 1 / 1, year_month_day{}}) {
    CHECK(round_trip(date) == date);
  }
  CHECK(round_trip(weekday(7)) == Sunday);
  CHECK(hoist::detail::schema_of<year_month_day>().text == "struct{year:i16,month:u8,day:u8}");
  const std::vector<year_month_day> many(5000, year(1) / 2 / 3);
  for (const char* name : {"d.hoist", "d.npy", "d.joblib"}) {
    hoist::dump(many, dir / name);
    CHECK(hoist::load<std::vector<year_month_day>>(dir / name) == many);
  }
  CHECK(round_trip(std::vector<year>(5000, year(7)))[4999] == year(7));
}
