// SPDX-License-Identifier: BSD-3-Clause
#pragma once

namespace hoist::detail::mpi {

/// Before MPI is finalized, by the program or at its end: the worker hosts are told, who otherwise
/// would wait for ever. Does nothing the second time.
void end_hosts();

}  // namespace hoist::detail::mpi
