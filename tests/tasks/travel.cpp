// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/detail/task.hpp>
#include <hoist/error.hpp>

#include <dlfcn.h>

#include <doctest/doctest.h>

using namespace hoist;
using namespace hoist::detail;

namespace {

int add(int a, int b) { return a + b; }
std::string describe_text(const char* text, std::string_view more) {
  return std::string(text) + std::string(more);
}
double sum(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0);
}
void nothing() {}
int& reference(int& value) { return ++value; }

struct Scaler {
  double factor = 1;
  std::vector<double> extra;
  double operator()(double x) const { return factor * x + (extra.empty() ? 0 : extra[0]); }
  double scaled(double x) const { return factor * x; }
};

struct Opaque {
  explicit Opaque(int v) : value(new int(v)) {}
  Opaque(const Opaque& other) : value(new int(*other.value)) {}
  Opaque& operator=(const Opaque&) = delete;
  ~Opaque() { delete value; }
  int* value;
};

/// Keeps the result.
struct KeepingReply final : Reply {
  void finish() override { returned = encoder().take(); }
  Encoded returned;
};

/// Sends a call and runs it as a worker would.
template <class F, class... Args>
auto round_trip(F callable, Args... args) {
  using R = TaskResult<F, Args...>;
  check_travels<F, Args...>();
  Encoder encoder;
  send_call<F, Args...>(encoder, callable, args...);
  const Encoded sent = encoder.take();
  EncodedSource source(sent);
  Decoder decoder(source);
  KeepingReply reply;
  const auto where = code_address_of(reinterpret_cast<const void*>(&run_call<F, Args...>));
  const auto run = reinterpret_cast<RunCall>(const_cast<void*>(resolve_code(where)));
  run(nullptr, decoder, reply);
  EncodedSource back(reply.returned);
  Decoder from(back);
  return receive_result<R>(from);
}

template <class Call>
std::string refusal(Call call) {
  try {
    call();
  } catch (const CannotTravel& error) {
    return error.what();
  }
  return {};
}

int variable = 7;

}  // namespace

TEST_CASE("functions, lambdas, function objects and member functions travel") {
  CHECK(round_trip(&add, 2, 3) == 5);
  CHECK(round_trip([](int x) { return x * 2; }, 21) == 42);
  const int captured = 40;
  const double other = 0.5;
  CHECK(round_trip([=](int x) { return x + captured + other; }, 2) == 42.5);
  CHECK(round_trip(Scaler{3, {1}}, 2.0) == 7);
  CHECK(round_trip(&Scaler::scaled, Scaler{3, {}}, 2.0) == 6);
  CHECK(round_trip(&Scaler::factor, Scaler{3, {}}) == 3);
  round_trip(&nothing);
}

TEST_CASE("arguments travel as what they refer to") {
  CHECK(round_trip(&describe_text, static_cast<const char*>("a"), std::string_view("bc")) == "abc");
  const std::vector<double> values{1, 2, 3.5};
  CHECK(round_trip(&sum, std::span<const double>(values)) == 6.5);
  CHECK(round_trip(&sum, values) == 6.5);
  int seven = 7;
  CHECK(round_trip(&reference, std::ref(seven)) == 8);
  CHECK(seven == 7);
  CHECK(round_trip(&reference, 7) == 8);
  CHECK(round_trip([](int (*f)(int, int), int x) { return f(x, 1); }, &add, 4) == 5);
  CHECK(round_trip([](const Array<double>& a) { return a(2); }, Array<double>::copy_of(values)) ==
        3.5);
}

TEST_CASE("captured constants of the program are translated") {
  const char* text = "constant";
  int (*function)(int, int) = &add;
  CHECK(round_trip([=] { return std::string(text) + std::to_string(function(1, 2)); }) ==
        "constant3");
}

TEST_CASE("what points into this process is refused, and named") {
  int local = 1;
  auto heap = std::make_unique<int>(2);
  CHECK(refusal([&] { round_trip([&local] { return local; }); }).find("byte 0") !=
        std::string::npos);
  CHECK(refusal([&, raw = heap.get()] { round_trip([raw] { return *raw; }); }) != "");
  CHECK(refusal([p = &variable] { round_trip([p] { return *p; }); }) != "");
  const std::string bad_argument =
      refusal([&, raw = heap.get()] { round_trip([](int, int* p) { return *p; }, 1, raw); });
  CHECK(bad_argument.find("argument 2 (int*)") != std::string::npos);
  CHECK(round_trip([](int* p) { return p == nullptr; }, static_cast<int*>(nullptr)));
}

TEST_CASE("types without a form are refused before anything is sent") {
  const std::vector<int> values{1};
  CHECK(refusal([&] {
          check_travels<decltype([values] { return values[0]; })>();
        }).find("the callable") != std::string::npos);
  const std::string argument =
      refusal([] { check_travels<int (*)(int, const Opaque&), int, Opaque>(); });
  CHECK(argument.find("argument 2") != std::string::npos);
  CHECK(argument.find("Opaque") != std::string::npos);
  CHECK(refusal([] { check_travels<Opaque (*)()>(); }).find("the result") != std::string::npos);
  static_assert(!travels<Opaque>);
  static_assert(!travels<std::function<int()>>);
  static_assert(travels<std::vector<std::string>>);
}

TEST_CASE("a callable common to many calls is sent once") {
  const auto f = [offset = 10](int x) { return x + offset; };
  using F = std::decay_t<decltype(f)>;
  Encoder common;
  send_callable<F>(common, f);
  const Encoded sent = common.take();
  EncodedSource source(sent);
  Decoder decoder(source);
  const auto callable = open_callable<F>(decoder);
  for (int x = 0; x < 3; ++x) {
    Encoder item;
    send_arguments<int>(item, x);
    const Encoded argument = item.take();
    EncodedSource from(argument);
    Decoder item_decoder(from);
    KeepingReply reply;
    run_item<F, int>(callable.get(), item_decoder, reply);
    EncodedSource back(reply.returned);
    Decoder back_decoder(back);
    CHECK(receive_result<int>(back_decoder) == x + 10);
  }
}

TEST_CASE("functions of a shared library are found by library and offset") {
  // A function that no sanitizer replaces.
  const auto* function = reinterpret_cast<const void*>(::dlsym(RTLD_DEFAULT, "getdtablesize"));
  REQUIRE(function != nullptr);
  const CodeAddress where = code_address_of(function);
  CHECK(where.module != 0);
  CHECK(module_name(where.module).path.find("libc") != std::string::npos);
  CHECK(resolve_code(where) == function);
  int local = 0;
  CHECK_THROWS_AS(code_address_of(&local), CannotTravel);
}
