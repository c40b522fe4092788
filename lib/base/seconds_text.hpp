// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>

namespace hoist::detail::base {

/// "0.25 s", for messages.
inline std::string seconds_text(double seconds) {
  std::string text = std::to_string(seconds);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text + " s";
}

}  // namespace hoist::detail::base
