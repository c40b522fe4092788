// SPDX-License-Identifier: BSD-3-Clause
#pragma once

namespace hoist::detail::slurm {

/// How many cores this job has on its node, also where Slurm doesn't bind it to them.
unsigned cores_of_job();

}  // namespace hoist::detail::slurm
