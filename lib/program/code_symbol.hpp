// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>

namespace hoist::detail::program {

/// What the symbol table says of a function.
struct CodeSymbol {
  std::string name;    ///< mangled; empty if no symbol is there
  std::string module;  ///< file name of its executable or shared object; empty if it is in none
  /// For a name that other source files may use for functions of their own: the source file, as far
  /// as the table knows it, and which of several it is.
  std::string scope;
  /// For a function without a name: what pins it to this build of its module.
  std::string build;
};

/// The symbol at the start of a function. Thread-safe; looked up once per process and function.
CodeSymbol code_symbol(const void* function);

/// The function of a loaded module that has this name and scope; null if there is none.
/// Thread-safe; looked up once per symbol as long as no module is loaded or unloaded.
const void* find_code(const CodeSymbol& symbol);

}  // namespace hoist::detail::program
