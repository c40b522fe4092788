// SPDX-License-Identifier: BSD-3-Clause
#include "os/cpu.hpp"

#include <hoist/cpu_count.hpp>
#include <hoist/error.hpp>

#include <sched.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <climits>
#include <cmath>
#include <cstdlib>
#include <mutex>
#include <new>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "os/cgroup.hpp"
#include "os/fork_hook.hpp"
#include "os/lines.hpp"

namespace hoist {

namespace detail::os {

namespace {

std::optional<double> number(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<int> quota_cpus(std::string_view quota, std::string_view period) {
  const auto q = number(quota);
  const auto p = number(period);
  if (!q || !p || *q <= 0 || *p <= 0) return std::nullopt;
  return static_cast<int>(std::clamp(std::ceil(*q / *p), 1.0, double{INT_MAX}));
}

std::optional<CpuLimit> group_limit(const std::filesystem::path& group, bool v2) {
  if (v2) {
    const auto line = read_line(group / "cpu.max");
    if (!line) return std::nullopt;
    const std::vector<std::string_view> words = words_of(*line);
    if (words.empty()) return std::nullopt;
    const auto cpus = quota_cpus(words[0], words.size() > 1 ? words[1] : "100000");
    if (!cpus) return std::nullopt;
    return CpuLimit{*cpus, (group / "cpu.max").string() + ": " + *line};
  }
  const auto quota = read_line(group / "cpu.cfs_quota_us");
  const auto period = read_line(group / "cpu.cfs_period_us");
  if (!quota || !period) return std::nullopt;
  const auto cpus = quota_cpus(*quota, *period);
  if (!cpus) return std::nullopt;
  return CpuLimit{*cpus, (group / "cpu.cfs_quota_us").string() + ": " + *quota + " of " + *period};
}

/// A mask of processors. Machines may have more of them than cpu_set_t has bits.
class CpuMask {
 public:
  explicit CpuMask(int cpus)
      : bits_(CPU_ALLOC(static_cast<std::size_t>(cpus))), bytes_(CPU_ALLOC_SIZE(cpus)) {
    if (bits_ == nullptr) throw std::bad_alloc();
    CPU_ZERO_S(bytes_, bits_);
  }
  CpuMask(const CpuMask&) = delete;
  CpuMask& operator=(const CpuMask&) = delete;
  ~CpuMask() { CPU_FREE(bits_); }

  bool get() { return ::sched_getaffinity(0, bytes_, bits_) == 0; }
  bool set() const { return ::sched_setaffinity(0, bytes_, bits_) == 0; }
  void add(int number) { CPU_SET_S(static_cast<std::size_t>(number), bytes_, bits_); }
  std::vector<int> numbers() const {
    const auto count = static_cast<std::size_t>(CPU_COUNT_S(bytes_, bits_));
    std::vector<int> all;
    all.reserve(count);
    for (int i = 0; all.size() < count; ++i) {
      if (CPU_ISSET_S(static_cast<std::size_t>(i), bytes_, bits_)) all.push_back(i);
    }
    return all;
  }

 private:
  cpu_set_t* bits_;
  const std::size_t bytes_;
};

int affinity_cores() { return std::max(1, static_cast<int>(affinity().size())); }

std::optional<CpuLimit> environment_limit() {
  const char* text = std::getenv("HOIST_MAX_CPU_COUNT");
  if (text == nullptr || *text == '\0') return std::nullopt;
  const auto value = number(text);
  if (!value || *value < 1 || *value > 1e6 || *value != std::floor(*value)) {
    throw BadArgument("the environment variable HOIST_MAX_CPU_COUNT is \"" + std::string(text) +
                      "\"; it must be a number of processors, at least 1");
  }
  return CpuLimit{static_cast<int>(*value), "HOIST_MAX_CPU_COUNT"};
}

int cores_without_groups() {
  const int cpus = affinity_cores();
  const auto limit = environment_limit();
  return limit ? std::min(cpus, limit->cpus) : cpus;
}

/// The number of distinct cores among the processors of the affinity mask; 0 if unknown.
int physical_cores() {
  std::set<std::pair<std::string, std::string>> cores;
  for (const int cpu : affinity()) {
    const std::filesystem::path topology =
        "/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology";
    const auto package = read_line(topology / "physical_package_id");
    const auto core = read_line(topology / "core_id");
    if (!package || !core) return 0;
    cores.emplace(*package, *core);
  }
  return static_cast<int>(cores.size());
}

std::vector<CpuLimit> all_limits(bool only_physical) {
  std::vector<CpuLimit> limits = cgroup_limits();
  limits.insert(limits.begin(), {affinity_cores(), "affinity mask of the process"});
  if (auto limit = environment_limit()) limits.push_back(*limit);
  if (only_physical) {
    if (const int cores = physical_cores(); cores > 0) limits.push_back({cores, "physical cores"});
  }
  return limits;
}

int least(const std::vector<CpuLimit>& limits) {
  int cpus = INT_MAX;
  for (const CpuLimit& limit : limits) cpus = std::min(cpus, limit.cpus);
  return std::max(1, cpus);
}

}  // namespace

std::vector<CpuLimit> cgroup_limits(const std::filesystem::path& root) {
  std::vector<CpuLimit> limits;
  for (const ControlGroup& group : control_groups("cpu", root)) {
    if (auto limit = group_limit(group.directory, group.v2)) limits.push_back(*limit);
  }
  return limits;
}

std::vector<int> affinity() {
  for (int cpus = 1024; cpus <= 1 << 20; cpus *= 4) {
    CpuMask mask(cpus);
    if (mask.get()) return mask.numbers();
  }
  return {};
}

void move_to_processor(int number) noexcept {
  const std::vector<int> allowed = affinity();
  if (allowed.empty() || ::sched_getcpu() == number) return;
  const int cpus = std::max(number, allowed.back()) + 1;
  CpuMask one(cpus);
  one.add(number);
  CpuMask all(cpus);
  for (const int each : allowed) all.add(each);
  if (one.set()) all.set();
}

int usable_cores() {
  struct Groups {
    std::mutex mutex;
    int limit = INT_MAX;
    std::optional<std::chrono::steady_clock::time_point> looked;
    ForkHook fork_hook{mutex};
  };
  static Groups& groups = *new Groups;
  const int cpus = cores_without_groups();
  const auto now = std::chrono::steady_clock::now();
  const std::lock_guard lock(groups.mutex);
  if (!groups.looked || now - *groups.looked > std::chrono::seconds(1)) {
    groups.limit = least(cgroup_limits());
    groups.looked = now;
  }
  return std::max(1, std::min(cpus, groups.limit));
}

namespace {

struct FurtherLines {
  std::mutex mutex;
  std::vector<std::function<std::string()>> all;
};

constinit PerProcess<FurtherLines> further_lines;

}  // namespace

void explain_with(std::function<std::string()> line) {
  FurtherLines& lines = further_lines.here();
  const std::lock_guard lock(lines.mutex);
  lines.all.push_back(std::move(line));
}

unsigned usable_cores_each(unsigned shares) {
  if (static_cast<unsigned>(cores_without_groups()) / shares <= 1) return 1;
  return std::max(1U, static_cast<unsigned>(usable_cores()) / shares);
}

}  // namespace detail::os

int cpu_count(const CpuCountOptions& options) {
  return detail::os::least(detail::os::all_limits(options.only_physical));
}

std::string explain_cpu_count() {
  const auto limits = detail::os::all_limits(false);
  const int usable = detail::os::least(limits);
  std::string text =
      std::to_string(usable) + (usable == 1 ? " processor" : " processors") + " may be used\n";
  for (const auto& limit : limits) {
    text += "  at most " + std::to_string(limit.cpus) + ": " + limit.where + "\n";
  }
  const int cores = detail::os::physical_cores();
  text += cores > 0 ? "  on " + std::to_string(cores) + " physical cores\n"
                    : "  physical cores: the system does not tell\n";
  auto& lines = detail::os::further_lines.here();
  const std::lock_guard lock(lines.mutex);
  for (const auto& line : lines.all) text += "  " + line() + "\n";
  return text;
}

}  // namespace hoist
