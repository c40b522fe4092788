// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/register_error.hpp>

#include <string_view>

namespace hoist::detail::tasks {

/// The form of the exception type with this (mangled) type name, or of the type E where the name is
/// that of what std::throw_with_nested makes of E. Forms stay for the life of the process.
const ErrorForm* find_error_form(std::string_view type_name);
const ErrorForm* find_error_form_named(std::string_view name);

/// Where add_error_form keeps them; `builtin_error_forms` fills in those nobody registers.
using AddForm = void (*)(const std::type_info& type, ErrorForm form);
void builtin_error_forms(AddForm add);

}  // namespace hoist::detail::tasks
