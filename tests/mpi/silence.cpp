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
  // Not two programs in one job, of which the mpirun of Open MPI 5.0.7 dies.
  support::spill(dir / "start",
                 "if [ ${OMPI_COMM_WORLD_RANK:-$PMI_RANK} = 0 ]; then exec $1 silent; fi\n"
                 "exec unshare --uts sh -c 'hostname elsewhere; exec $1 silent' - $1\n");
  const std::string here = dir.path().string();
  const Ended job = run_command(HOIST_TEST_MPIRUN " -n 3 env HOIST_BACKEND=mpi DIRECTORY=" + here +
                                " sh " + here + "/start " HOIST_TEST_PROGRAM);
  CHECK(job.code == 0);
  CHECK(job.count("sum 4950") == 1);
  CHECK(job.count("sum 4950 too late") == 0);
  CHECK(job.count("sum 332833500") == 1);
}
