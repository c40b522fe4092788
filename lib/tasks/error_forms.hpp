// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/register_error.hpp>

#include <string_view>

namespace hoist::detail::tasks {

/// The form of the exception type with this mangled name. The name may also be that of the class
/// that std::throw_with_nested derives from a type E; then it is the form of E. Forms are never
/// destroyed.
const ErrorForm* find_error_form(std::string_view type_name);
const ErrorForm* find_error_form_named(std::string_view name);

/// The registry behind add_error_form; `builtin_error_forms` supplies those of the libraries.
using AddForm = void (*)(const std::type_info& type, ErrorForm form);
void builtin_error_forms(AddForm add);

}  // namespace hoist::detail::tasks
