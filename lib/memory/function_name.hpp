// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/memo.hpp>

#include <string>

#include "program/code_symbol.hpp"

namespace hoist::detail::memory {

/// What tells one function from another.
struct FunctionName {
  std::string readable;      ///< for people
  std::string label;         ///< how the name of its directory begins
  std::string identity;      ///< different for different functions, also for those of equal name
  program::CodeSymbol code;  ///< with the name that is part of `identity`
};

FunctionName name_of(const FunctionInfo& info);

/// A directory name of bounded length: the text's plain characters, then a hash of `identity`.
std::string directory_name(std::string_view text, std::string_view identity);

}  // namespace hoist::detail::memory
