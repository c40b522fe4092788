// SPDX-License-Identifier: BSD-3-Clause
//
// What programs publish, and what others see of it.
#include <doctest/doctest.h>
#include <hoist/error.hpp>
#include <hoist/running_programs.hpp>

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "status/layout.hpp"
#include "support/hard_limit.hpp"
#include "support/publishing.hpp"
#include "support/sanitized.hpp"

using namespace hoist;
using namespace std::chrono_literals;
using support::ChildProgram;
using support::RuntimeDir;
using support::within;

namespace {

unsigned mode_of(const std::filesystem::path& path) {
  struct stat status{};
  CHECK(::lstat(path.c_str(), &status) == 0);
  return status.st_mode & 07777;
}

/// The only program that publishes, once its loop has come as far as it does by itself.
RunningProgram at_rest() {
  std::vector<RunningProgram> programs;
  REQUIRE(within(20s, [&] {
    programs = running_programs();
    return programs.size() == 1 && programs[0].loops.size() == 2 &&
           programs[0].loops[1].done == 4 && programs[0].functions.size() == 1 &&
           programs[0].functions[0].hits + programs[0].functions[0].misses == 8;
  }));
  return programs[0];
}

void check_program(const std::string& backend) {
  const support::HardLimit limit;
  const RuntimeDir dir;
  ChildProgram child("publishes on " + backend);
  const RunningProgram program = at_rest();
  CHECK(program.pid == child.pid());
  CHECK(program.command.find("-tc=publishes") != std::string::npos);
  CHECK(program.memory_bytes > 1'000'000);
  const auto age = std::chrono::system_clock::now() - program.started;
  CHECK(age < 60s);
  CHECK(age > -2s);

  const RunningLoop& executor = program.loops[0];
  CHECK(executor.is_executor);
  CHECK(executor.workers == 1);
  CHECK(executor.total == 1);
  CHECK(executor.done == 1);
  const RunningLoop& loop = program.loops[1];
  CHECK_FALSE(loop.is_executor);
  CHECK(loop.backend == backend);
  CHECK(loop.workers == 2);
  CHECK(loop.total == 10);
  CHECK(loop.failed == 0);
  CHECK(loop.started > program.started);
  CHECK(loop.number != executor.number);
  CHECK(program.ended_loops == 1);
  CHECK(program.ended_tasks == 3);
  // Two calls before the loop, and those of six tasks, of which two are under way.
  CHECK(program.functions[0].name == "half");
  CHECK(program.functions[0].misses == 6);
  CHECK(program.functions[0].hits == 2);

  CHECK(mode_of(dir / "hoist") == 0700);
  for (const auto& file : std::filesystem::directory_iterator(dir / "hoist")) {
    CHECK(mode_of(file) == 0600);
    CHECK(file.file_size() == 16384);
  }
  dir.release();
  REQUIRE(child.ends_within(20s));
  CHECK(child.exit_code() == 0);
  CHECK(running_programs().empty());
  CHECK(dir.files() == 0);
}

}  // namespace

TEST_CASE("publishes on threads" * doctest::skip()) { support::publish_until_told("threads"); }
TEST_CASE("publishes on fork" * doctest::skip()) { support::publish_until_told("fork"); }
TEST_CASE("publishes on spawn" * doctest::skip()) { support::publish_until_told("spawn"); }

TEST_CASE("loops, executors and cached functions of a running program are seen") {
  check_program("threads");
}

TEST_CASE("calls of forked workers count for their program") { check_program("fork"); }

TEST_CASE("calls of spawned workers count for their program, whose processes they are") {
  check_program("spawn");
}

TEST_CASE("what a killed program has left is removed by whoever looks") {
  const support::HardLimit limit;
  const RuntimeDir dir;
  ChildProgram child("publishes on threads");
  static_cast<void>(at_rest());
  child.signal(SIGKILL);
  REQUIRE(child.ends_within(10s));
  CHECK(dir.files() == 1);
  CHECK(running_programs().empty());
  CHECK(dir.files() == 0);
}

TEST_CASE("runs one loop" * doctest::skip()) {
  static_cast<void>(Parallel({.n_jobs = 2}).map(std::views::iota(0, 5), support::half));
}

TEST_CASE("nothing is published where the user says so, or where others could read it") {
  const support::HardLimit limit;
  const RuntimeDir dir;
  const auto run = [](const std::vector<std::string>& variables) {
    ChildProgram child("runs one loop", variables);
    REQUIRE(child.ends_within(20s));
    CHECK(child.exit_code() == 0);
  };
  run({"HOIST_TOP=0"});
  CHECK_FALSE(std::filesystem::exists(dir / "hoist"));
  CHECK(running_programs().empty());

  std::filesystem::create_directory(dir / "hoist");
  ::chmod((dir / "hoist").c_str(), 0770);
  run({});
  CHECK(dir.files() == 0);
  CHECK_THROWS_AS(running_programs(), BadArgument);
  std::filesystem::remove(dir / "hoist");

  std::filesystem::create_directory(dir / "elsewhere");
  ::chmod((dir / "elsewhere").c_str(), 0700);
  std::filesystem::create_symlink("elsewhere", dir / "hoist");
  run({});
  CHECK(std::filesystem::is_empty(dir / "elsewhere"));
  CHECK_THROWS_AS(running_programs(), BadArgument);
  std::filesystem::remove(dir / "hoist");

  support::spill(dir / "hoist", "");
  run({});
  CHECK_THROWS_AS(running_programs(), BadArgument);

  ::setenv("XDG_RUNTIME_DIR", "relative", 1);
  run({});
  CHECK_THROWS_AS(running_programs(), NotFound);
  ::unsetenv("XDG_RUNTIME_DIR");
  CHECK_THROWS_AS(running_programs(), NotFound);
}

TEST_CASE("forks while it publishes" * doctest::skip()) {
  const auto square = [](int i) { return i * i; };
  hoist::ThreadPoolExecutor executor({.max_workers = 1});
  executor.submit(square, 2).result();
  const pid_t child = ::fork();
  if (child == 0) {
    // One with loops of its own, which ends as programs do.
    static_cast<void>(Parallel({.n_jobs = 2}).map(std::views::iota(0, 5), square));
    support::wait_for_release();
    std::exit(0);
  }
  const pid_t silent = ::fork();
  if (silent == 0) std::exit(0);
  support::wait_for_release();
  int status = 0;
  REQUIRE(::waitpid(silent, &status, 0) == silent);
  REQUIRE(::waitpid(child, &status, 0) == child);
  // LeakSanitizer takes for lost what the parent's threads hold.
  CHECK((status == 0 || support::sanitized));
  REQUIRE(running_programs().size() == 1);
  CHECK(running_programs()[0].loops.size() == 1);
}

TEST_CASE("a forked child makes its own file, and leaves its parent's alone") {
  const support::HardLimit limit;
  const RuntimeDir dir;
  ChildProgram child("forks while it publishes");
  REQUIRE(within(20s, [] {
    const auto programs = running_programs();
    return programs.size() == 2 && programs[1].ended_loops == 1;
  }));
  const auto programs = running_programs();
  CHECK(programs[0].pid == child.pid());
  CHECK(programs[0].loops.size() == 1);
  CHECK(programs[0].ended_loops == 0);
  CHECK(programs[1].loops.empty());
  CHECK(programs[1].ended_tasks == 5);
  dir.release();
  REQUIRE(child.ends_within(20s));
  CHECK(child.exit_code() == 0);
  CHECK(dir.files() == 0);
}

TEST_CASE("files that are damaged, of others or of other versions are no trouble, and stay") {
  using detail::status::File;
  const support::HardLimit limit;
  const RuntimeDir dir;
  std::filesystem::create_directory(dir / "hoist");
  ::chmod((dir / "hoist").c_str(), 0700);
  struct stat names{};
  REQUIRE(::stat("/proc/self/ns/pid", &names) == 0);
  const std::string name = "hoist/" + std::to_string(::getpid()) + "-";
  const auto file = dir / (name + std::to_string(names.st_ino));

  // Right but for what each of these changes.
  std::string right(sizeof(File), '\xff');
  const std::uint32_t version = 1;
  right.replace(0, 8, "hoisttop");
  right.replace(8, 4, reinterpret_cast<const char*>(&version), 4);
  for (const std::size_t size : {std::size_t{0}, std::size_t{8}, sizeof(File) - 1}) {
    support::spill(file, right.substr(0, size));
    CHECK(running_programs().empty());
  }
  support::spill(file, std::string(sizeof(File), '\0'));
  CHECK(running_programs().empty());
  std::string newer = right;
  newer[8] = 2;
  support::spill(file, newer);
  CHECK(running_programs().empty());
  CHECK(std::filesystem::exists(file));

  // States that don't exist, and then texts that don't end.
  support::spill(file, right);
  REQUIRE(running_programs().size() == 1);
  CHECK(running_programs()[0].loops.empty());
  for (const char state : {char{2}, char{3}, char{4}}) {
    for (std::size_t at = 128; at < right.size(); at += 128) right[at] = state;
    for (std::size_t at = 128; at < right.size(); at += 128) right.replace(at + 1, 3, 3, '\0');
    support::spill(file, right);
    const auto programs = running_programs();
    REQUIRE(programs.size() == 1);
    CHECK(programs[0].loops.size() == (state == 4 ? 0 : 127));
    CHECK(programs[0].functions.size() == (state == 4 ? 1 : 0));
  }
  // Made before this process began: by an earlier one, whose number was the same.
  right.replace(16, 8, 8, '\0');
  support::spill(file, right);
  CHECK(running_programs().empty());
  CHECK_FALSE(std::filesystem::exists(file));

  // Names of other namespaces and of nothing, which nobody removes; a pipe, which nobody waits for.
  for (const std::string& other :
       {name + "1", std::string("hoist/99999999-1"), std::string("hoist/1"),
        std::string("hoist/note"), std::string("hoist/1-") + std::to_string(names.st_ino) + "x"}) {
    support::spill(dir / other, right);
    CHECK(running_programs().empty());
    CHECK(std::filesystem::exists(dir / other));
    std::filesystem::remove(dir / other);
  }
  REQUIRE(::mkfifo(file.c_str(), 0600) == 0);
  CHECK(running_programs().empty());
}

TEST_CASE("a program that calls exec publishes anew" * doctest::skip()) {
  static_cast<void>(Parallel({.n_jobs = 2}).map(std::views::iota(0, 5), support::half));
  ::execl("/proc/self/exe", "test", "-tc=publishes on threads", "-ns", nullptr);
  FAIL("exec failed");
}

TEST_CASE("after exec a process has the file of its new program") {
  const support::HardLimit limit;
  const RuntimeDir dir;
  ChildProgram child("a program that calls exec publishes anew");
  CHECK(at_rest().ended_tasks == 3);
  CHECK(dir.files() == 1);
  dir.release();
  REQUIRE(child.ends_within(20s));
  CHECK(child.exit_code() == 0);
}

TEST_CASE("who looks with few descriptors removes nothing of programs that run") {
  const support::HardLimit limit;
  const RuntimeDir dir;
  const ChildProgram child("publishes on threads");
  at_rest();
  const int next = ::dup(0);
  ::close(next);
  rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  rlimit few = before;
  few.rlim_cur = static_cast<rlim_t>(next) + 2;
  ::setrlimit(RLIMIT_NOFILE, &few);
  try {
    static_cast<void>(running_programs());
  } catch (const SystemError&) {
  }
  ::setrlimit(RLIMIT_NOFILE, &before);
  CHECK(running_programs().size() == 1);
}
