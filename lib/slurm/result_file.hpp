// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/backend.hpp>

#include <cstddef>
#include <filesystem>

namespace hoist::detail::slurm {

/// Reports to the loop what the element of a task has written. Returns whether the task has failed.
/// Throws DamagedData, which names the file and the remedy, and then has reported nothing.
bool settle_result(const std::filesystem::path& path, std::size_t task, Loop& loop, Worker& worker);

}  // namespace hoist::detail::slurm
