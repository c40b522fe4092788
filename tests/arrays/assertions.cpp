// SPDX-License-Identifier: BSD-3-Clause
#undef NDEBUG  // here the assertions hold in every build; Cell makes all that they are in local
#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <hoist/array.hpp>

#include <array>
#include <csignal>
#include <string>

namespace {

struct Cell {
  int number;
};
using Cells = hoist::Array<Cell>;

/// What an assertion of `body` writes to stderr before it ends the process.
template <class Body>
std::string assertion(Body body) {
  std::array<int, 2> ends{};
  REQUIRE(::pipe(ends.data()) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const rlimit no_core{0, 0};
    ::setrlimit(RLIMIT_CORE, &no_core);
    ::signal(SIGABRT, SIG_DFL);  // NOLINT(cert-err33-c)
    ::alarm(20);
    ::dup2(ends[1], STDERR_FILENO);
    body();
    ::_exit(0);
  }
  ::close(ends[1]);
  std::string text;
  std::array<char, 4096> buffer{};
  for (ssize_t n = 0; (n = ::read(ends[0], buffer.data(), buffer.size())) > 0;) {
    text.append(buffer.data(), static_cast<std::size_t>(n));
  }
  ::close(ends[0]);
  int status = -1;
  ::waitpid(child, &status, 0);
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT ? text : "no assertion: " + text;
}

}  // namespace

TEST_CASE("wrong indices are asserted") {
  // Without a check they read and wrote other memory.
  const Cells cells({2, 3});
  const Cells line({4});
  CHECK(assertion([&] { cells(1, 2).number = 1; }) == "no assertion: ");
  for (const std::string& text :
       {assertion([&] { cells(5, 5).number = 1; }), assertion([&] { cells(0, 3).number = 1; }),
        assertion([&] { cells(0, -1).number = 1; }), assertion([&] { line[4].number = 1; }),
        assertion([&] { Cells()[0].number = 1; })}) {
    CHECK_MESSAGE(text.find("the index is out of range") != std::string::npos, text);
  }
  for (const std::string& text :
       {assertion([&] { line(0, 0, 0).number = 1; }), assertion([&] { cells(1).number = 1; }),
        assertion([&] { cells().number = 1; })}) {
    CHECK_MESSAGE(text.find("one index per axis") != std::string::npos, text);
  }
  const std::string text = assertion([&] { cells.slice(1, 0, 3, 2)[1].number = 1; });
  CHECK_MESSAGE(text.find("a strided view has no order in memory") != std::string::npos, text);
}
