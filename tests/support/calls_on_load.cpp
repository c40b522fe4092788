// SPDX-License-Identifier: BSD-3-Clause
//
// A library whose initialiser calls the function at the address in HOIST_TEST_ON_LOAD.
#include <cstdint>
#include <cstdlib>

extern "C" __attribute__((visibility("default"))) bool hoist_test_was_loaded() { return true; }

namespace {

const bool called = [] {
  const char* const address = std::getenv("HOIST_TEST_ON_LOAD");
  if (address == nullptr) return false;
  reinterpret_cast<void (*)()>(std::strtoull(address, nullptr, 10))();
  return true;
}();

}  // namespace
