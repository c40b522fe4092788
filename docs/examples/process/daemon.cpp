// SPDX-License-Identifier: BSD-3-Clause
//
// A daemon works in the background for as long as the program needs it. Nobody has to end it: the
// program's end does, or the end of the object.

#include <hoist/hoist.hpp>

#include <chrono>
#include <cstdio>
#include <thread>

namespace {

using namespace std::chrono_literals;

void beat(const hoist::SharedValue<int>& beats, const hoist::Event& three) {
  for (;;) {
    if (++beats == 3) three.set();
    std::this_thread::sleep_for(1ms);
  }
}

}  // namespace

int main() {
  const hoist::SharedValue<int> beats(0);
  const hoist::Event three;
  {
    hoist::Process heart({.name = "heart", .daemon = true}, beat, beats, three);
    heart.start();
    three.wait();
    for (const hoist::ProcessInfo& child : hoist::active_children()) {
      std::printf("%s, %s\n", child.name().c_str(), child.daemon() ? "a daemon" : "no daemon");
    }
  }
  std::printf("%s, %zu children\n", beats.get() >= 3 ? "it has worked" : "it has not worked",
              hoist::active_children().size());
}
