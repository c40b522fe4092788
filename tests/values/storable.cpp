// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/hash.hpp>
#include <hoist/values.hpp>

#include <any>
#include <atomic>
#include <chrono>
#include <complex>
#include <filesystem>
#include <mutex>
#include <random>
#include <system_error>
#include <thread>
#include <valarray>

#include "support/values.hpp"

// Which types are values. Each of them is encoded and decoded here: Storable once was true for
// types that did not compile then. For others asking was a compile-time error itself.

namespace {

/// Everything that hoist does with a value compiles for T, and a T comes back as it was.
template <class T>
void comes_back(const T& value) {
  static_assert(hoist::Storable<T>);
  support::round_trip(value);
  CHECK_FALSE(hoist::detail::schema_of<T>().text.empty());
}

struct Constant {
  const int number = 3;
  std::string text;
  const std::vector<double> more;
};
struct Wrapped {
  Constant inner;
};
// Of classes derived from what is told by its members, a part would be lost.
struct CountedEngine : std::mt19937 {
  int used = 0;
};
/// Has what the forms look at in a std::expected.
template <class T, class E>
class Maybe {
 public:
  using value_type = T;
  using error_type = E;
  struct unexpected_type {};  // NOLINT(readability-identifier-naming): as the standard has it
  Maybe();
  template <class F>
  Maybe<std::invoke_result_t<F, T>, E> transform(F f) &&;
};
struct DatedMaybe : Maybe<int, int> {
  int day = 0;
};
struct LongPath : std::filesystem::path {
  int more = 0;
};
struct Quantity : std::complex<double> {
  explicit Quantity(int u = 0) : unit(u) {}
  int unit;
};
template <class T>
struct Series : std::valarray<T> {
  explicit Series(int s = 0) : step(s) {}
  int step;
};
struct OneElement {
  double weight;
  char text[1];
};
struct Colour {
  float rgb[3];
  double weight;
};
struct Matrix {
  double rows[2][2];
};
struct HasColour {
  int id;
  Colour colour;
};
struct Plain {
  int a;
};
struct WithBase : Plain {
  int b;
};
struct Tag {};
struct WithEmptyBase : Tag {
  int b;
};
struct Reference {
  int& to;
};
struct Pointer {
  int* to;
};
struct Volatile {
  volatile int status;
};
struct Locked {
  std::mutex mutex;
  int value = 0;
};
struct NoDefault {
  explicit NoDefault(int n) : number(n) {}
  template <class Ar>
  void serialize(Ar& ar) {
    ar(number);
  }
  int number;
};
struct HasNoDefault {
  NoDefault inner;
};
struct Fixed {
  Fixed() = default;
  Fixed(Fixed&&) = delete;
  template <class Ar>
  void serialize(Ar& ar) {
    ar(number);
  }
  int number = 7;
};
struct Abstract {
  virtual ~Abstract() = default;
  virtual int number() const = 0;
  template <class Ar>
  void serialize(Ar&) {}
};
class Private {
  [[maybe_unused]] int hidden_ = 0;
};
struct Incomplete;
struct Many {
  char text[300];
};
struct Empty {};
struct Bits {
  unsigned low : 3;
  unsigned high : 5;
  int number;
};
struct OneBit {
  std::string name;
  bool set : 1;
};
struct Variant {
  union {
    int number;
    float real;
  };
  double weight;
};
struct VariantBehind {
  double weight;
  union {
    Plain plain;
    float parts[2];
  };
};
struct Tagged {
  union {
    int number;
    float real;
  };
  bool is_real = false;
  template <class Ar>
  void serialize(Ar& ar) {
    ar(is_real);
    is_real ? ar(real) : ar(number);
  }
};
struct HasTagged {
  Tagged tagged;
  std::string name;
};
#define HOIST_TEN(x) int x##0, x##1, x##2, x##3, x##4, x##5, x##6, x##7, x##8, x##9;
#define HOIST_FIFTY(x) \
  HOIST_TEN(x##0) HOIST_TEN(x##1) HOIST_TEN(x##2) HOIST_TEN(x##3) HOIST_TEN(x##4)
struct Hundred {
  HOIST_FIFTY(a) HOIST_FIFTY(b)
};
struct HundredTen {
  HOIST_FIFTY(a) HOIST_FIFTY(b) HOIST_TEN(c)
};
union Either {
  int a;
  float b;
};

}  // namespace

TEST_CASE("numbers are values, those of 128 bits too") {
  comes_back(true);
  comes_back('c');
  comes_back(u8'c');
  comes_back(L'c');
  comes_back(1.5F);
  comes_back(1.5L);
  comes_back(std::byte{3});
  comes_back(std::complex<long double>(1, 2));
#if defined(HOIST_HAS_FLOAT16)
  comes_back(static_cast<_Float16>(1.5F));
  comes_back(std::vector<_Float16>(3000, static_cast<_Float16>(0.25F)));
  CHECK(hoist::detail::schema_of<_Float16>().text == "f16");
#endif
#if defined(__SIZEOF_INT128__)
  using hoist::detail::Int128;
  using hoist::detail::UInt128;
  const Int128 large = static_cast<Int128>(-5) << 90;
  comes_back(large);
  comes_back(static_cast<UInt128>(large));
  comes_back(std::vector<Int128>(1000, large));
  CHECK(hoist::detail::schema_of<Int128>().text == "i128");
  CHECK(hoist::detail::schema_of<std::vector<UInt128>>().text == "[u128]");
  CHECK(hoist::hash(large) != hoist::hash(static_cast<Int128>(static_cast<std::int64_t>(large))));
  CHECK_FALSE(hoist::Storable<hoist::Array<Int128>>);
#endif
#if defined(__SIZEOF_FLOAT128__)
  CHECK_FALSE(hoist::Storable<__float128>);
#endif
  CHECK_FALSE(hoist::Storable<std::complex<int>>);
  CHECK_FALSE(hoist::Storable<hoist::Array<long double>>);
}

TEST_CASE("dates, error codes and random engines are values") {
  using namespace std::chrono;
  comes_back(year(-44));
  comes_back(month(3));
  comes_back(day(31));
  comes_back(Saturday);
  comes_back(year(2024) / February / 29);
  comes_back(std::vector<year_month_day>(3000, year(1999) / 12 / 31));
  comes_back(std::map<year, weekday>{{year(1), Monday}});
  comes_back(std::make_error_code(std::errc::no_space_on_device));
  comes_back(std::make_error_condition(std::errc::timed_out));
  comes_back(std::mt19937(3));
  comes_back(std::mt19937_64(4));
  comes_back(std::minstd_rand(5));
  CHECK_FALSE(hoist::Storable<std::ranlux24>);
  CHECK_FALSE(hoist::Storable<std::random_device>);
}

TEST_CASE("a class that is derived from a value and adds members is no value by itself") {
  CHECK_FALSE(hoist::Storable<Quantity>);
  CHECK_FALSE(hoist::Storable<LongPath>);
  CHECK_FALSE(hoist::Storable<Series<double>>);
  CHECK_FALSE(hoist::Storable<CountedEngine>);
  CHECK(hoist::Storable<Maybe<int, int>>);
  CHECK_FALSE(hoist::Storable<DatedMaybe>);
}

TEST_CASE("structs with constant members are values") {
  comes_back(Constant{4, "four", {4.0}});
  comes_back(Wrapped{{5, "five", {}}});
  comes_back(std::vector<Constant>{{1, "a", {}}, {2, "b", {2.5}}});
  comes_back(std::pair<const std::string, int>("key", 1));
  comes_back(std::vector<std::pair<const int, const int>>{{1, 2}, {3, 4}});
  comes_back(std::tuple<const int, std::string>(1, "b"));
  comes_back(std::unique_ptr<const std::string>(new std::string("c")));
  comes_back(std::shared_ptr<const std::string>(new std::string("c")));
  comes_back(Empty{});
}

TEST_CASE("a struct may have a hundred members, and members that serialize their union") {
  Hundred hundred{};
  hundred.a00 = 1;
  hundred.b49 = 2;
  comes_back(hundred);
  CHECK(support::round_trip(hundred).b49 == 2);
  CHECK(hoist::field_names<Hundred>[98] == "b48");
  HasTagged tagged{};
  tagged.tagged.is_real = true;
  tagged.tagged.real = 1.5F;
  comes_back(tagged);
  CHECK(support::round_trip(tagged).tagged.real == 1.5F);
  CHECK(hoist::field_count<HasTagged> == 2);
}

TEST_CASE("an object that can't be moved is a value, a vector of such objects isn't") {
  CHECK(hoist::Storable<Fixed>);
  CHECK(hoist::Storable<std::unique_ptr<Fixed>>);
  comes_back(std::list<Fixed>(3));
  CHECK_FALSE(hoist::Storable<std::vector<Fixed>>);
}

TEST_CASE("what hoist can't store is no value, also inside others") {
  CHECK_FALSE(hoist::Storable<Colour>);
  CHECK_FALSE(hoist::Storable<Matrix>);
  CHECK_FALSE(hoist::Storable<HasColour>);
  CHECK_FALSE(hoist::Storable<std::vector<HasColour>>);
  CHECK_FALSE(hoist::Storable<std::array<Colour, 2>>);
  CHECK_FALSE(hoist::Storable<OneElement>);
  CHECK_FALSE(hoist::Storable<Many>);
  CHECK_FALSE(hoist::Storable<WithBase>);
  CHECK_FALSE(hoist::Storable<WithEmptyBase>);
  CHECK_FALSE(hoist::Storable<Bits>);
  CHECK_FALSE(hoist::Storable<OneBit>);
  CHECK_FALSE(hoist::Storable<std::vector<OneBit>>);
  CHECK_FALSE(hoist::Storable<Variant>);
  CHECK_FALSE(hoist::Storable<VariantBehind>);
  CHECK_FALSE(hoist::Storable<HundredTen>);
  CHECK_FALSE(hoist::Storable<Reference>);
  CHECK_FALSE(hoist::Storable<std::vector<Reference>>);
  CHECK_FALSE(hoist::Storable<Pointer>);
  CHECK_FALSE(hoist::Storable<Volatile>);
  CHECK_FALSE(hoist::Storable<Locked>);
  CHECK_FALSE(hoist::Storable<NoDefault>);
  CHECK_FALSE(hoist::Storable<HasNoDefault>);
  CHECK_FALSE(hoist::Storable<std::vector<NoDefault>>);
  CHECK_FALSE(hoist::Storable<std::optional<NoDefault>>);
  CHECK_FALSE(hoist::Storable<std::map<int, NoDefault>>);
  CHECK_FALSE(hoist::Storable<Private>);
  CHECK_FALSE(hoist::Storable<Abstract>);
  CHECK_FALSE(hoist::Storable<Either>);
  CHECK_FALSE(hoist::Storable<std::unique_ptr<Incomplete>>);
  CHECK_FALSE(hoist::Storable<std::shared_ptr<Incomplete>>);
  CHECK_FALSE(hoist::Storable<std::unique_ptr<int[]>>);
  CHECK_FALSE(hoist::Storable<std::shared_ptr<int[]>>);
  CHECK_FALSE(hoist::Storable<std::shared_ptr<void>>);
  CHECK_FALSE(hoist::Storable<int*>);
  CHECK_FALSE(hoist::Storable<int[3]>);
  CHECK_FALSE(hoist::Storable<void>);
  CHECK_FALSE(hoist::Storable<int(int)>);
  CHECK_FALSE(hoist::Storable<std::nullptr_t>);
  CHECK_FALSE(hoist::Storable<std::function<int()>>);
  CHECK_FALSE(hoist::Storable<std::any>);
  CHECK_FALSE(hoist::Storable<std::atomic<int>>);
  CHECK_FALSE(hoist::Storable<std::thread>);
  CHECK_FALSE(hoist::Storable<std::string_view>);
  CHECK_FALSE(hoist::Storable<std::reference_wrapper<int>>);
  CHECK_FALSE(hoist::Storable<std::tuple<int&>>);
  CHECK_FALSE(hoist::Storable<std::basic_string<long long>>);
}
