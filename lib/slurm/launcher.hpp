// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/slurm.hpp>

#include <filesystem>
#include <string>

#include "remote/hosts.hpp"

namespace hoist::detail::slurm {

/// In the environment of a worker host: the directory of its messages.
inline constexpr const char* host_variable = "HOIST_SLURM_HOST";

/// The worker hosts of this process, which are started now. Never destroyed.
remote::Hosts& launch_hosts(const SlurmOptions& options);

/// What a worker host runs instead of main.
[[noreturn]] void run_host(const std::filesystem::path& messages);

}  // namespace hoist::detail::slurm
