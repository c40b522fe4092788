// SPDX-License-Identifier: BSD-3-Clause
#include "fingerprint/variable_values.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "program/symbol_names.hpp"
#include "support/fingerprints.hpp"
#include "support/sanitized.hpp"

using namespace hoist::detail;
using fingerprint::VariableBytes;

namespace fingerprint_variables {

struct Pair {
  int first = 1;
  int second = 2;
};

int number = 1;
Pair pair;
std::array<short, 10> series = {1, 2};
std::array<short, 10> filled = {3, 4};
int passed = 5;
int* kept = nullptr;

HOIST_TEST_NOINLINE int read_number(int x) { return x + number; }
HOIST_TEST_NOINLINE int read_second_write_first(int x) {
  pair.first = x;
  return pair.second;
}
HOIST_TEST_NOINLINE int read_series(int x) { return series[static_cast<std::size_t>(x)]; }
HOIST_TEST_NOINLINE int fill(int x) {
  filled[static_cast<std::size_t>(x)] = 1;
  return filled[static_cast<std::size_t>(x / 2)];
}
HOIST_TEST_NOINLINE void keep(int* pointer) { kept = pointer; }
HOIST_TEST_NOINLINE int pass(int x) {
  keep(&passed);
  return x + passed;
}
HOIST_TEST_NOINLINE int increase(int& value) { return ++value; }
HOIST_TEST_NOINLINE int pass_by_reference(int x) { return x + increase(number); }
HOIST_TEST_NOINLINE int static_local(int x) {
  static int count = 0;
  return x + ++count;
}

std::vector<VariableBytes> variables_of(int (*function)(int)) {
  return support::fingerprint_of(function).variables;
}

template <class T>
bool is_only(const std::vector<VariableBytes>& variables, const T& variable) {
  return variables.size() == 1 &&
         variables[0].begin == reinterpret_cast<std::uintptr_t>(&variable) &&
         variables[0].size == sizeof variable && !variables[0].is_thread_local;
}

}  // namespace fingerprint_variables

using namespace fingerprint_variables;

// Sanitizers get the address of everything.
TEST_CASE("bytes that are read and not written" *
          doctest::skip(support::sanitized || !support::reads_code)) {
  CHECK(is_only(variables_of(read_number), number));
  CHECK(is_only(variables_of(read_second_write_first), pair.second));
  CHECK(is_only(variables_of(read_series), series));
}

TEST_CASE("what may be written does not count") {
  CHECK(variables_of(fill).empty());
  CHECK(variables_of(pass).empty());
  CHECK(kept == nullptr);
  CHECK(variables_of(pass_by_reference).empty());
  CHECK(variables_of(static_local).empty());
  CHECK(variables_of([](int x) { return x; }).empty());
}

TEST_CASE("the digest of what variables hold") {
  const auto digest = [](const auto& value) {
    const VariableBytes bytes{reinterpret_cast<std::uintptr_t>(&value), sizeof value};
    return fingerprint::digest_values(std::span(&bytes, 1));
  };
  int one = 1;
  int other = 1;
  CHECK(digest(one) == digest(other));
  other = 2;
  CHECK(digest(one) != digest(other));
  int* first = &one;
  int* second = &other;
  CHECK(digest(first) == digest(second));
  second = nullptr;
  CHECK(digest(first) != digest(second));
  std::vector<double> many(5000, 0.5);
  const VariableBytes all{reinterpret_cast<std::uintptr_t>(many.data()), many.size() * 8};
  const auto before = fingerprint::digest_values(std::span(&all, 1));
  many[4000] = 0.25;
  CHECK(fingerprint::digest_values(std::span(&all, 1)) != before);
  CHECK_FALSE(fingerprint::hold_addresses(std::span(&all, 1)));
}

TEST_CASE("names of the run time") {
  for (const char* name : {"__libc_single_threaded", "_ZSt4cout", "_ZNSt6locale2idE", "_ZGVZ1fvE1x",
                           "_ZN9__gnu_cxx9freelistE", "_ZZNSt6locale7classicEvE1c"}) {
    CHECK_MESSAGE(program::is_run_time_entity(name), name);
  }
  for (const char* name : {"threshold", "_ZL9threshold", "_ZN4user5StateE", "_ZZ1fvE5count"}) {
    CHECK_FALSE_MESSAGE(program::is_run_time_entity(name), name);
  }
}
