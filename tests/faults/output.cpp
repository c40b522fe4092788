// SPDX-License-Identifier: BSD-3-Clause
// ctest-timeout: 300
#include <doctest/doctest.h>
#include <hoist/error.hpp>
#include <hoist/parallel.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <ranges>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "support/child_program.hpp"
#include "support/temp_dir.hpp"

using namespace hoist;
using namespace std::chrono_literals;

namespace {

/// Leads this process's stdout or stderr into a pipe, whose reader pauses at first.
class SlowReader {
 public:
  explicit SlowReader(std::chrono::milliseconds pause, int fd = STDOUT_FILENO) : fd_(fd) {
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    std::fflush(stdout);
    before_ = ::fcntl(fd_, F_DUPFD_CLOEXEC, 3);
    ::dup2(ends[1], fd_);
    ::close(ends[1]);
    reader_ = std::thread([this, pause, from = ends[0]] {
      const auto end = Clock::now() + pause;
      while (!hurry_ && Clock::now() < end) std::this_thread::sleep_for(1ms);
      char buffer[65536];
      for (ssize_t n = 0; (n = ::read(from, buffer, sizeof buffer)) > 0;) {
        text_.append(buffer, static_cast<std::size_t>(n));
      }
      ::close(from);
    });
  }
  SlowReader(const SlowReader&) = delete;
  SlowReader& operator=(const SlowReader&) = delete;
  ~SlowReader() { finish(); }

  /// Ends the pause.
  void hurry() { hurry_ = true; }
  /// Puts things back, and returns what was written to it.
  const std::string& finish() {
    if (reader_.joinable()) {
      std::fflush(stdout);
      ::dup2(before_, fd_);
      ::close(before_);
      hurry();
      reader_.join();
    }
    return text_;
  }

 private:
  const int fd_;
  int before_ = -1;
  std::atomic<bool> hurry_{false};
  std::string text_;
  std::thread reader_;
};

/// A backend, and the output of its tasks that passes through this process.
struct Way {
  const char* backend;
  int fd;
  std::FILE* file() const { return fd == STDOUT_FILENO ? stdout : stderr; }
  Parallel parallel() const {
    return Parallel({.n_jobs = 2, .backend = backend, .force_fork = true});
  }
};
const Way ways[] = {{"spawn", STDOUT_FILENO}, {"spawn", STDERR_FILENO}, {"fork", STDERR_FILENO}};

[[noreturn]] void print_without_end(int fd) {
  for (;;) std::fputs("a line of a task that prints and prints\n", fd == 1 ? stdout : stderr);
}

void print_lines_to(int fd, int n) {
  for (int i = 0; i < n; ++i) {
    std::fprintf(fd == 1 ? stdout : stderr, "%d: a line that somebody will read\n", i);
  }
}

/// How many of print_lines' lines are there, up to the first that isn't.
int lines_in_order(const std::string& text) {
  std::istringstream in(text);
  int n = 0;
  for (std::string line; std::getline(in, line);) {
    if (line == std::to_string(n) + ": a line that somebody will read") ++n;
  }
  return n;
}

/// A loop of which one task prints without end while the worker of the other is killed.
std::chrono::duration<double> time_of_a_death(const Way& way, std::chrono::milliseconds pause) {
  SlowReader reader(pause, way.fd);
  const Parallel parallel = way.parallel();
  const auto began = Clock::now();
  CHECK_THROWS_AS(parallel.for_each(std::vector{0, 1},
                                    [fd = way.fd](int i) {
                                      if (i == 0) print_without_end(fd);
                                      std::this_thread::sleep_for(500ms);
                                      std::raise(SIGKILL);
                                    }),
                  WorkerDied);
  const auto time = Clock::now() - began;
  // This loop ends when all is written, so nothing is left for the real stdout.
  reader.hurry();
  parallel.for_each(std::vector{0}, [](int) {});
  return time;
}

}  // namespace

// The thread that watches workers wrote their output itself, and waited for who should read it; for
// forked children the thread of the loop did.
TEST_CASE("a death ends the loop though nobody reads what another task prints") {
  for (const Way& way : ways) CHECK(time_of_a_death(way, 30s) < 15s);
}

// The thread read on as long as one worker had something to read.
TEST_CASE("a death ends the loop though another task prints without end") {
  for (const Way& way : ways) CHECK(time_of_a_death(way, 0s) < 15s);
}

TEST_CASE("a task that prints faster than somebody reads waits, and nothing is lost") {
  for (const Way& way : ways) {
    // Some 2 MB, which workers have to wait for; and what fits into the queue.
    for (const int n : {60000, 4000}) {
      CAPTURE(way.backend);
      CAPTURE(n);
      SlowReader reader(500ms, way.fd);
      way.parallel().for_each(std::vector{n},
                              [fd = way.fd](int lines) { print_lines_to(fd, lines); });
      std::fputs("behind the loop\n", way.file());
      const std::string& text = reader.finish();
      CHECK(lines_in_order(text) == n);
      CHECK(text.ends_with("behind the loop\n"));
    }
  }
}

TEST_CASE("other tasks go on though nobody reads what one prints") {
  for (const Way& way : ways) {
    CAPTURE(way.backend);
    SlowReader reader(60s, way.fd);
    ParallelOptions options = way.parallel().options();
    options.timeout = 2s;
    const auto began = Clock::now();
    try {
      static_cast<void>(Parallel(options).map(std::views::iota(0, 40), [fd = way.fd](int i) {
        if (i == 0) print_without_end(fd);
        return i;
      }));
    } catch (const TimedOut& error) {
      CHECK(error.tasks_done() == 39);
    }
    CHECK(Clock::now() - began < 20s);
    // This loop ends when all is written.
    reader.hurry();
    way.parallel().for_each(std::vector{0}, [](int) {});
  }
}

// Run by the case below in a program of its own.
TEST_CASE("program that ends before its output is read" * doctest::skip()) {
  const std::filesystem::path printed = std::filesystem::path(std::getenv("TEST_DIRECTORY")) / "p";
  const Way& way = ways[std::getenv("TEST_FORK") != nullptr ? 2 : 0];
  const Parallel parallel = way.parallel();
  // The loop is stopped, so it doesn't wait for a reader.
  CHECK_THROWS_AS(parallel(delayed([](const std::string& to, int fd) {
                             print_lines_to(fd, 4000);  // more than the pipe takes
                             std::ofstream(to).put('p');
                           })(printed.string(), way.fd),
                           delayed([](const std::string& from) {
                             while (!std::filesystem::exists(from)) {
                               std::this_thread::sleep_for(1ms);
                             }
                             throw std::domain_error("planned");
                           })(printed.string())),
                  std::domain_error);
}

TEST_CASE("the end of a program waits until what tasks have printed is read") {
  for (const char* fork : {"", "TEST_FORK=1 "}) {
    CAPTURE(fork);
    const support::TempDir dir;
    const std::string command = fork + ("TEST_DIRECTORY='" + dir.path().string() + "' '") +
                                std::filesystem::read_symlink("/proc/self/exe").string() +
                                "' '-tc=program that ends before its output is read' -ns -nv 2>&1";
    std::FILE* const out = ::popen(command.c_str(), "r");
    REQUIRE(out != nullptr);
    CHECK(support::within(60s, [&] { return std::filesystem::exists(dir / "p"); }));
    std::this_thread::sleep_for(1s);
    std::string text;
    char buffer[4096];
    for (std::size_t n = 0; (n = std::fread(buffer, 1, sizeof buffer, out)) > 0;) {
      text.append(buffer, n);
    }
    CHECK(::pclose(out) == 0);
    CHECK(lines_in_order(text) == 4000);
  }
}
