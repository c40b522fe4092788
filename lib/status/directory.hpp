// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>

#include "os/file.hpp"

namespace hoist::detail::status {

/// $XDG_RUNTIME_DIR/hoist; empty where the environment names no absolute XDG_RUNTIME_DIR, or the
/// program has more rights than whoever started it.
std::string directory_path();

/// Opens it, if it is a directory of this user that nobody else may enter; nothing otherwise. With
/// `make` it is made first, if there is none.
os::Fd open_directory(const std::string& path, bool make);

}  // namespace hoist::detail::status
