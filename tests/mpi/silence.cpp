// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>

#include <cstdlib>
#include <string>

#include "mpi/run_job.hpp"
#include "support/temp_dir.hpp"

using namespace mpi_tests;

TEST_CASE("a host of another machine that falls silent loses its tasks, and ends when it is back" *
          doctest::skip(std::system("unshare --uts true 2>/dev/null") != 0)) {
  const support::TempDir dir;
  const std::string program =
      " env HOIST_BACKEND=mpi DIRECTORY=" + dir.path().string() + " " HOIST_TEST_PROGRAM " silent";
  const Ended job =
      run_command(HOIST_TEST_MPIRUN " -n 1" + program +
                  " : -n 2 unshare --uts sh -c 'hostname elsewhere; exec \"$@\"' -" + program);
  CHECK(job.code == 0);
  CHECK(job.count("sum 4950") == 1);
  CHECK(job.count("sum 4950 too late") == 0);
  CHECK(job.count("sum 332833500") == 1);
}
