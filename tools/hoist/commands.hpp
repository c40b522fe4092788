// SPDX-License-Identifier: BSD-3-Clause
#pragma once

namespace CLI {
class App;
}

namespace hoist::tool {

/// Each adds one command to the tool.
void add_trace(CLI::App& app);

}  // namespace hoist::tool
