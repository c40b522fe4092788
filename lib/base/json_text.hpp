// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <string_view>

namespace hoist::detail::base {

/// A text as a string of JSON, in quotation marks. U+FFFD stands for each byte that is no
/// UTF-8, as names of files and texts of errors may have.
std::string json_text(std::string_view text);

}  // namespace hoist::detail::base
