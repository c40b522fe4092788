// SPDX-License-Identifier: BSD-3-Clause
#include "os/memory_left.hpp"

#include <doctest/doctest.h>

#include "support/temp_dir.hpp"

using hoist::detail::os::memory_left;

namespace {

constexpr std::uint64_t kib = 1024;

void put(const support::TempDir& root, const std::string& path, const std::string& text) {
  std::filesystem::create_directories((root / path).parent_path());
  support::spill(root / path, text);
}

}  // namespace

TEST_CASE("memory left is the least of what machine and control groups leave") {
  const support::TempDir root;
  CHECK(memory_left(root.path()) == std::numeric_limits<std::uint64_t>::max());
  put(root, "proc/meminfo", "MemTotal: 9000 kB\nMemAvailable: 4000 kB\nSwapFree: 1000 kB\n");
  CHECK(memory_left(root.path()) == 5000 * kib);
  put(root, "proc/self/cgroup", "0::/a/b\n");
  put(root, "sys/fs/cgroup/a/b/memory.max", "max\n");
  put(root, "sys/fs/cgroup/a/b/memory.current", "1\n");
  CHECK(memory_left(root.path()) == 5000 * kib);
  // A limit further up the path counts; pages of idle files don't.
  put(root, "sys/fs/cgroup/a/memory.max", std::to_string(3000 * kib));
  put(root, "sys/fs/cgroup/a/memory.current", std::to_string(2000 * kib));
  put(root, "sys/fs/cgroup/a/memory.stat", "anon 5\ninactive_file " + std::to_string(500 * kib));
  CHECK(memory_left(root.path()) == 1500 * kib);
  put(root, "sys/fs/cgroup/a/memory.current", std::to_string(9000 * kib));
  CHECK(memory_left(root.path()) == 0);
  put(root, "proc/self/cgroup", "5:cpu:/x\n4:cpuset,memory:/c\n");
  put(root, "sys/fs/cgroup/memory/c/memory.limit_in_bytes", std::to_string(100 * kib));
  put(root, "sys/fs/cgroup/memory/c/memory.usage_in_bytes", std::to_string(40 * kib));
  CHECK(memory_left(root.path()) == 60 * kib);
}

TEST_CASE("there is memory left") { CHECK(memory_left() > 0); }
