// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <string_view>

namespace hoist::detail::program {

/// The name without what compilers append to it (`.constprop.0`, `.lto_priv.3`, `.llvm.123`, `.7`):
/// these numbers depend on unrelated code.
std::string_view base_name(std::string_view symbol);

/// Whether the symbol is a piece that the compiler split off a function (`.cold`, `.part.0`).
bool is_split_part(std::string_view symbol);

/// Whether the symbol is a non-template entity of namespace hoist: the library's own code or data,
/// which counts by name. Instantiations of its templates contain user code and count like it.
bool is_hoist_entity(std::string_view symbol);

/// Whether a symbol belongs to the C or C++ run time or to the compiler: by its reserved name, in
/// namespace std, or as guard of a local variable.
bool is_run_time_entity(std::string_view symbol);

/// Whether the symbol is a table of virtual functions.
bool is_vtable(std::string_view symbol);

/// The C++ name, or the symbol itself if it isn't a mangled one.
std::string demangled(std::string_view symbol);

}  // namespace hoist::detail::program
