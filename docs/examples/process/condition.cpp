// SPDX-License-Identifier: BSD-3-Clause
//
// A table with room for three plates: the cook waits while it is full, the guests while it is
// empty.

#include <hoist/hoist.hpp>

#include <cstdio>
#include <mutex>
#include <vector>

namespace {

struct Table {
  hoist::Condition changed;
  hoist::SharedValue<int> plates;
};

int cook(const Table& table, int meals) {
  for (int i = 0; i < meals; ++i) {
    std::unique_lock held(table.changed);
    table.changed.wait([&] { return table.plates.get() < 3; });
    ++table.plates;
    table.changed.notify_all();
  }
  return 0;
}

int eat(const Table& table, int meals) {
  for (int i = 0; i < meals; ++i) {
    std::unique_lock held(table.changed);
    table.changed.wait([&] { return table.plates.get() > 0; });
    --table.plates;
    table.changed.notify_all();
  }
  return meals;
}

}  // namespace

int main() {
  const Table table;
  const auto eaten = hoist::Parallel({.n_jobs = 3, .backend = "spawn"})(
      std::vector{hoist::delayed(cook)(table, 100), hoist::delayed(eat)(table, 60),
                  hoist::delayed(eat)(table, 40)});
  std::printf("%d meals were eaten, %d plates are left\n", eaten[1] + eaten[2], table.plates.get());
}
