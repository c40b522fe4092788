// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <filesystem>
#include <string>

namespace hoist::detail::base {

/// A path in quotation marks, for messages.
std::string quoted(const std::filesystem::path& path);

}  // namespace hoist::detail::base
