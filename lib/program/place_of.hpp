// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/code_address.hpp>

#include <cstdint>

namespace hoist::detail::program {

/// What an address belongs to: code or constants of a loaded file, its variables, or neither.
enum class Place { elsewhere, constant, variable };

/// For a constant, `code` says where it is.
Place place_of(std::uintptr_t address, CodeAddress& code);

}  // namespace hoist::detail::program
