// SPDX-License-Identifier: BSD-3-Clause
//
// Processes fill a dict and a list that live in the server of a manager.

#include <hoist/hoist.hpp>

#include <cstdio>
#include <string>
#include <vector>

namespace {

void note_squares(const hoist::DictProxy<int, int>& squares,
                  const hoist::ListProxy<std::string>& log, int first, int last) {
  for (int i = first; i < last; ++i) squares.set(i, i * i);
  log.append("done");
}

}  // namespace

int main() {
  const hoist::Manager manager;
  const auto squares = manager.dict<int, int>();
  const auto log = manager.list<std::string>();
  std::vector<hoist::Process> workers;
  for (int i = 0; i < 3; ++i) {
    workers.emplace_back(note_squares, squares, log, 3 * i, 3 * i + 3);
    workers.back().start();
  }
  for (const hoist::Process& worker : workers) worker.join();
  for (const auto& [number, square] : squares.items()) std::printf("%d: %d\n", number, square);
  std::printf("%zu workers are done\n", log.size());
}
