// SPDX-License-Identifier: BSD-3-Clause
//
// Exceptions of tasks, in a program that is linked in several ways.

#include <hoist/hoist.hpp>

#include <cstdio>
#include <ranges>
#include <stdexcept>
#include <vector>

#include "errors.hpp"

namespace {

struct Stranger : std::exception {
  const char* what() const noexcept override { return "known to nobody"; }
};

int fail(int i) {
  if (i == 0) return 0;
  if (i == 1) throw std::out_of_range("the text");
  if (i == 2) throw hoist::NotFound("the text");
  throw Stranger();
}

template <class E, class R>
bool failed_with(const hoist::Outcome<R>& outcome) {
  try {
    outcome.value();
    return false;
  } catch (const E&) {
    return true;
  }
}

}  // namespace

int main() {
  for (const char* backend : {"threads", "fork", "spawn"}) {
    const hoist::Parallel parallel({.n_jobs = 2, .backend = backend});
    const bool is_process = std::string(backend) != "threads";
    const auto outcomes = parallel.map_outcomes(std::views::iota(0, 4), fail);
    const bool good = outcomes[0].value() == 0 && failed_with<std::out_of_range>(outcomes[1]) &&
                      failed_with<hoist::NotFound>(outcomes[2]) &&
                      (is_process ? failed_with<hoist::RemoteError>(outcomes[3])
                                  : failed_with<Stranger>(outcomes[3]));
    if (!good) return std::printf("%s: an error of another type\n", backend), 1;
    try {
      parallel.map(std::vector{2, 4, 7}, parse);
      return std::printf("%s: no error\n", backend), 2;
    } catch (const ParseError& error) {
      if (error.line() != 7 || std::string(error.what()) != "odd") return 3;
    }
  }
  return 0;
}
