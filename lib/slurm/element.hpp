// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <filesystem>
#include <string>

namespace hoist::detail::slurm {

/// In the environment of an array element: where its chunk is, up to the dot and its number.
inline constexpr const char* element_variable = "HOIST_SLURM_CHUNKS";

/// What an element of a job array runs instead of main: the tasks of its chunk whose results are
/// not there yet, in worker processes. Returns the exit code.
int run_element(const std::filesystem::path& chunk);

}  // namespace hoist::detail::slurm
