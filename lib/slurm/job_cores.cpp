// SPDX-License-Identifier: BSD-3-Clause
#include "slurm/job_cores.hpp"

#include <algorithm>
#include <cstdlib>

#include "os/cpu.hpp"

namespace hoist::detail::slurm {

unsigned cores_of_job() {
  const int usable = os::usable_cores();
  const char* const text = std::getenv("SLURM_CPUS_ON_NODE");
  const int given = text != nullptr ? std::atoi(text) : 0;
  return static_cast<unsigned>(given > 0 ? std::min(given, usable) : usable);
}

}  // namespace hoist::detail::slurm
