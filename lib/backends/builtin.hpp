// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/backend.hpp>
#include <hoist/parallel_options.hpp>

#include <cstddef>
#include <memory>
#include <string_view>
#include <vector>

namespace hoist::detail::backends {

std::shared_ptr<Backend> make_sequential_backend();
std::shared_ptr<Backend> make_spawn_backend();
std::shared_ptr<Backend> make_threads_backend();
std::shared_ptr<Backend> make_fork_backend();

/// Blocks of so many bytes travel in shared memory.
inline std::size_t shared_from(const ParallelOptions& options) {
  return options.max_nbytes ? options.max_nbytes->bytes() : static_cast<std::size_t>(-1);
}

struct BuiltinBackend {
  std::string_view name;
  std::shared_ptr<Backend> (*make)();
};

inline std::vector<BuiltinBackend> builtin_backends() {
  return {
      {"sequential", make_sequential_backend},
      {"spawn", make_spawn_backend},
      {"threads", make_threads_backend},
      {"fork", make_fork_backend},
  };
}

}  // namespace hoist::detail::backends
