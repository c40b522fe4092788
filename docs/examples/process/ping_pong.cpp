// SPDX-License-Identifier: BSD-3-Clause
//
// Two processes talk through a pipe, until one of them closes its end.

#include <hoist/hoist.hpp>

#include <cstdio>
#include <string>

namespace {

void answer(const hoist::Connection<std::string>& end) {
  try {
    for (;;) end.send(end.recv() + ", pong");
  } catch (const hoist::EndOfStream&) {
    // The other end is closed.
  }
}

}  // namespace

int main() {
  auto [here, there] = hoist::Pipe<std::string>();
  hoist::Process partner(answer, there);
  partner.start();
  there.close();  // the partner has it now
  for (int i = 1; i <= 3; ++i) {
    here.send("ping " + std::to_string(i));
    std::printf("%s\n", here.recv().c_str());
  }
  here.close();
  partner.join();
  std::printf("the partner ended with %d\n", partner.exitcode().value_or(-1));
}
