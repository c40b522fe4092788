// SPDX-License-Identifier: BSD-3-Clause
//
// Calls that are not waited for; callbacks get what they return, or throw.

#include <hoist/hoist.hpp>

#include <cmath>
#include <cstdio>
#include <exception>
#include <stdexcept>

namespace {

double root(double x) {
  if (x < 0) throw std::domain_error("no root of a negative number");
  return std::sqrt(x);
}

void report(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const std::domain_error& e) {  // its own type, though another process threw it
    std::printf("error: %s\n", e.what());
  }
}

}  // namespace

int main() {
  hoist::Pool pool({.processes = 2});
  const auto call = [&](double x) {
    return pool.apply_async(
        hoist::delayed(root)(x),
        {.callback = [](double y) { std::printf("root: %g\n", y); }, .error_callback = report});
  };
  const auto nine = call(9);
  nine.wait();
  const auto bad = call(-1);
  bad.wait();
  pool.close();
  pool.join();  // callbacks are over, too
  std::printf("successful: %d %d\n", nine.successful(), bad.successful());
}
