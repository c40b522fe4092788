// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include "mpi/run_job.hpp"
#include "support/temp_dir.hpp"

// Whole MPI jobs of the program in program/: what they print, their exit codes, and that nothing of
// them is left.

using namespace mpi_tests;

TEST_CASE("the exit code is that of main, however main ends") {
  CHECK(run("none").code == 0);
  CHECK(run("no_loop_3").code == 3);
  const Ended loop = run("loop");
  CHECK(loop.code == 0);
  CHECK(loop.count("sum 332833500") == 1);
  CHECK(run("exit_3").code == 3);
  const Ended thrown = run("throw");
  // mpirun of MPICH 4.2 now and then answers 0 where a rank was killed by a signal, whatever its
  // program (seen with one of a few lines of C).
  if (is_open_mpi) CHECK(thrown.code != 0);
  CHECK(thrown.has("thrown out of main"));
  CHECK(thrown.count("sum 332833500") == 1);
}

TEST_CASE("worker ranks wait for a first loop that comes late") {
  CHECK(run("late").count("sum 332833500") == 1);
}

TEST_CASE("the program may use MPI itself") {
  const Ended own = run("own_mpi");
  CHECK(own.code == 0);
  CHECK(own.count("sum 332833500") == 1);
  CHECK(own.count("after") == 1);
  const Ended no_loop = run("own_mpi_no_loop");
  CHECK(no_loop.code == 0);
  CHECK(no_loop.count("after") == 1);
  const Ended late = run("too_late");
  CHECK(late.code == 0);
  CHECK(late.has("MPI was finalized"));
}

TEST_CASE("what tasks print comes out of rank 0, before what it prints after the loop") {
  const Ended said = run("say");
  CHECK(said.code == 0);
  CHECK(said.count("out ") == 50);
  CHECK(said.count("err ") == 50);
  auto at = std::find(said.lines.begin(), said.lines.end(), "end");
  REQUIRE(at != said.lines.end());
  CHECK(std::none_of(at, said.lines.end(),
                     [](const std::string& line) { return line.starts_with("out "); }));
}

TEST_CASE("a task that crashes costs a task, not the job") {
  const Ended crash = run("crash");
  CHECK(crash.code == 0);
  CHECK(crash.has("was killed by signal 11 (SIGSEGV) while it ran task 7"));
  CHECK(crash.has("(rank "));
  CHECK(crash.count("sum 332833500") == 1);
}

TEST_CASE("children of a rank are no ranks") {
  const Ended child = run("child");
  CHECK(child.code == 0);
  CHECK(child.count("sum 332833500") == 2);
}

TEST_CASE("large arguments and results") { CHECK(run("arrays").count("right") == 1); }

TEST_CASE("memory that processes share can't leave its machine") {
  CHECK(run("shared").has("the memory of this machine"));
}

TEST_CASE("the number of workers is that of the ranks but one, or of the cores of their machines") {
  CHECK(run("jobs", 4).count("jobs 3") == 1);
  const Ended node = run("jobs", 4, "", "HOIST_HOSTS=node");
  CHECK(node.count("jobs " + std::to_string(std::thread::hardware_concurrency())) == 1);
  CHECK(run("loop", 4, "", "HOIST_HOSTS=node").count("sum 332833500") == 1);
  CHECK(run("loop", 1).has("has no worker hosts"));
  CHECK(run("loop", 2, "", "HOIST_HOSTS=socket").has("HOIST_HOSTS is \"socket\""));
}

TEST_CASE("executors") { CHECK(run("executor").count("sum 328350") == 1); }

TEST_CASE("a worker host that is killed costs nothing, or its tasks, as the loop says" *
          doctest::skip(!is_open_mpi)) {
  const support::TempDir dir;
  const std::string once = "ONCE=" + (dir.path() / "once").string();
  const Ended lost = run("lost", 4, "--enable-recovery", once);
  CHECK(lost.code == 0);
  CHECK(lost.count("sum 4950") == 1);
  CHECK(lost.count("sum 332833500") == 1);
  fs::remove(dir.path() / "once");
  const Ended failed = run("lost_fail", 4, "--enable-recovery", once);
  CHECK(failed.has("must not run twice"));
  CHECK(failed.count("sum 332833500") == 1);
  const Ended poison = run("poison", 5, "--enable-recovery");
  CHECK(poison.has("task 5 was on a machine that was lost: "));
  CHECK(poison.count("sum 332833500") == 1);
}

TEST_CASE("the commands of the guide, as they stand there") {
  const support::TempDir dir;
  fs::create_symlink(HOIST_TEST_PROGRAM, dir / "app");
  std::ifstream guide(HOIST_SOURCE_DIR "/docs/guide/cluster.md");
  int commands = 0;
  for (std::string line; std::getline(guide, line);) {
    const std::string mpirun = "mpirun ";
    if (!line.starts_with(mpirun)) continue;
    if (!is_open_mpi && line.find("--enable-recovery") != std::string::npos) continue;
    ++commands;
    const Ended ended = run_command("env -C '" + dir.path().string() + "' " HOIST_TEST_MPIRUN " " +
                                    line.substr(mpirun.size()));
    CHECK(ended.code == 0);
    CHECK(ended.count("sum 332833500") == 1);
  }
  CHECK(commands >= 2);
}
