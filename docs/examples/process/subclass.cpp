// SPDX-License-Identifier: BSD-3-Clause
//
// A class whose objects are processes. Its fields go to the process; results come back by what both
// share.

#include <hoist/hoist.hpp>

#include <cstdio>
#include <string>
#include <vector>

namespace {

struct WordCount : hoist::ProcessBase<WordCount> {
  std::vector<std::string> lines;
  hoist::SharedValue<int> words;

  void run() {
    int count = 0;
    for (const std::string& line : lines) {
      bool inside = false;
      for (const char c : line) {
        count += c != ' ' && !inside;
        inside = c != ' ';
      }
    }
    words.set(count);
    std::printf("%s has counted\n", name().c_str());
  }
};

}  // namespace

int main() {
  WordCount counter;
  counter.lines = {"a process of its own", "gets the fields of the object"};
  counter.start();
  counter.join();
  std::printf("%d words, exit code %d\n", counter.words.get(), counter.exitcode().value_or(-1));
}
