// SPDX-License-Identifier: BSD-3-Clause
#pragma once

namespace hoist::detail::workers {

/// What the program hoist-worker (tools/hoist_worker) calls in a library with hoist in it. It gets
/// the offset from the library's load address, so that the library need not export anything. The
/// text tells it that it has found what was meant, and not another build of the library.
struct alignas(32) HostedEntry {
  char text[24] = "hoist worker entry 1";
  void (*run)() = nullptr;  ///< does not return
};

}  // namespace hoist::detail::workers
