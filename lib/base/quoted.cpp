// SPDX-License-Identifier: BSD-3-Clause
#include "base/quoted.hpp"

namespace hoist::detail::base {

std::string quoted(const std::filesystem::path& path) { return "\"" + path.string() + "\""; }

}  // namespace hoist::detail::base
