// SPDX-License-Identifier: BSD-3-Clause
#include "os/memory_left.hpp"

#include <doctest/doctest.h>

#include "os/cpu.hpp"
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
  put(root, "proc/self/mountinfo",
      "30 1 0:1 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
      "31 1 0:2 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n");
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

// Groups were looked for in /sys/fs/cgroup only, and by their full path: a container, in which only
// the part from its own group on is mounted, had no limit.
TEST_CASE("control groups are found where they are mounted") {
  const support::TempDir root;
  put(root, "proc/self/mountinfo",
      "30 1 0:1 /box/1 /mnt/groups rw shared:4 - cgroup2 cgroup2 rw\n"
      "31 1 0:2 / /mnt/old rw - cgroup cgroup rw,cpu,memory\n");
  put(root, "proc/self/cgroup", "3:cpu,memory:/old\n0::/box/1/inner\n");
  put(root, "mnt/groups/memory.max", std::to_string(300 * kib));
  put(root, "mnt/groups/memory.current", std::to_string(100 * kib));
  CHECK(memory_left(root.path()) == 200 * kib);
  put(root, "mnt/groups/inner/memory.max", std::to_string(150 * kib));
  put(root, "mnt/groups/inner/memory.current", std::to_string(100 * kib));
  CHECK(memory_left(root.path()) == 50 * kib);
  put(root, "mnt/old/old/memory.limit_in_bytes", std::to_string(20 * kib));
  put(root, "mnt/old/old/memory.usage_in_bytes", std::to_string(10 * kib));
  CHECK(memory_left(root.path()) == 10 * kib);
  put(root, "mnt/groups/cpu.max", "150000 100000\n");
  put(root, "mnt/old/old/cpu.cfs_quota_us", "300000\n");
  put(root, "mnt/old/old/cpu.cfs_period_us", "100000\n");
  const auto limits = hoist::detail::os::cgroup_limits(root.path());
  REQUIRE(limits.size() == 2);
  CHECK(limits[0].cpus == 2);
  CHECK(limits[1].cpus == 3);
}

TEST_CASE("there is memory left") { CHECK(memory_left() > 0); }
