// SPDX-License-Identifier: BSD-3-Clause
//
// A translation unit that only some variants have.
#include "sample.hpp"

static const char* const texts[] = {"extra", "translation", "unit"};
static const double numbers[] = {2.5, 3.5, 4.5};

namespace {
struct Base {
  virtual ~Base() = default;
  virtual int value(int x) const { return x; }
};
struct Derived : Base {
  int value(int x) const override { return x + unrelated_in_other_unit(x); }
};
}  // namespace

SAMPLE_KEEP int extra_function(int x) {
  Base* base = new Derived;
  asm volatile("" : "+r"(base));
  const int result = base->value(x) + texts[x % 3][0] + static_cast<int>(numbers[x % 3] * 1.75);
  delete base;
  return result;
}
