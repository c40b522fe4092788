// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/memory.hpp>

#include "memory/identity.hpp"

// Has functions of the same names and types as identity.cpp.

namespace {

int local(int x) { return x + 2000; }

}  // namespace

static int plain_static(int x) { return x + 2001; }

int (*identity_twin_local())(int) { return local; }
int (*identity_twin_static())(int) { return plain_static; }
int identity_twin_lambda(const hoist::Memory& memory, int x) {
  return memory.cache([](int y) { return y + 2002; }, {.version = "1"})(x);
}

TEST_CASE("a local function is cached") {
  const hoist::Memory memory("", {});
  CHECK(memory.cache(local)(1) == 2001);
  CHECK(memory.cache(plain_static)(1) == 2002);
}
