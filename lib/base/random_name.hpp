// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <string>

namespace hoist::detail::base {

/// So many hexadecimal digits that nobody else has come upon.
std::string random_name(std::size_t digits);

}  // namespace hoist::detail::base
