// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/backend.hpp>
#include <hoist/slurm.hpp>

#include <memory>

namespace hoist::detail::slurm {

/// As many elements as clusters let an array have, unless told otherwise (MaxArraySize).
inline constexpr unsigned most_elements = 1000;

/// A loop whose tasks are elements of job arrays.
std::unique_ptr<Session> open_array_session(Loop& loop, const SlurmOptions& options);

}  // namespace hoist::detail::slurm
