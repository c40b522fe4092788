// SPDX-License-Identifier: BSD-3-Clause
#include <mpi.h>

#include "mpi/mpi_job.hpp"

// By MPI's profiling interface: the program's own call comes here first, also where it never had a
// loop.
extern "C" int MPI_Finalize() {
  hoist::detail::mpi::end_hosts();
  return PMPI_Finalize();
}
