// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/error.hpp>
#include <hoist/running_programs.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string_view>
#include <system_error>

#include "base/quoted.hpp"
#include "os/file.hpp"
#include "os/process_id.hpp"
#include "status/directory.hpp"
#include "status/layout.hpp"
#include "status/process_table.hpp"

namespace hoist {

namespace detail::status {

namespace {

/// The process that the name of a file tells; 0 if it isn't such a name, or is one of another PID
/// namespace.
int process_in(std::string_view name, std::uint64_t name_space) {
  const char* const end = name.data() + name.size();
  int pid = 0;
  std::uint64_t number = 0;
  const auto first = std::from_chars(name.data(), end, pid);
  if (first.ec != std::errc() || pid <= 0 || first.ptr == end || *first.ptr != '-') return 0;
  const auto second = std::from_chars(first.ptr + 1, end, number);
  return second.ec == std::errc() && second.ptr == end && number == name_space ? pid : 0;
}

/// Reads the whole file; false if it isn't one of these, or of another version.
bool read_file(int directory, const char* name, File& to) {
  const os::Fd fd(::openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  // Not mapped: what is shortened meanwhile would end this process.
  return fd && ::pread(fd.get(), static_cast<void*>(&to), sizeof to, 0) == sizeof to &&
         to.header.magic == magic && to.header.version == version;
}

template <std::size_t n>
std::string text_in(const std::array<char, n>& text) {
  return {text.data(), ::strnlen(text.data(), n)};
}

RunningLoop loop_in(const Slot& slot) {
  const LoopCounters& from = slot.loop();
  RunningLoop loop{
      .number = slot.use.load(),
      .is_executor = slot.state.load() == SlotState::executor,
      .backend = text_in(from.backend),
      .workers = from.workers,
      .started = std::chrono::system_clock::time_point(std::chrono::nanoseconds(from.started)),
      .total = {},
      .done = from.done.load(),
      .failed = from.failed.load(),
      .busy = {}};
  if (from.total.load() != unknown) loop.total = from.total.load();
  if (from.busy.load() != unknown) loop.busy = std::chrono::nanoseconds(from.busy.load());
  return loop;
}

/// A function that is cached in several ways, or called in several processes, is one.
void add_function(std::vector<RunningFunction>& to, const RunningFunction& function) {
  const auto same = std::ranges::find(to, function.name, &RunningFunction::name);
  if (same == to.end()) return to.push_back(function);
  same->hits += function.hits;
  same->misses += function.misses;
}

/// What two copies of a file say that were made one after the other. A slot whose use has changed
/// meanwhile is left out.
void add_counters(const File& first, const File& again, RunningProgram& to) {
  to.ended_loops = again.header.loops.load();
  to.ended_tasks = again.header.tasks.load();
  for (std::size_t i = 0; i < first.slots.size(); ++i) {
    const Slot& slot = first.slots[i];
    const SlotState state = slot.state.load();
    if (slot.use.load() != again.slots[i].use.load() || state != again.slots[i].state.load())
      continue;
    if (state == SlotState::loop || state == SlotState::executor) {
      RunningLoop loop = loop_in(slot);
      // Uses of one slot differ, and slots of one use.
      loop.number = loop.number * first.slots.size() + i;
      to.loops.push_back(std::move(loop));
    } else if (state == SlotState::function) {
      const FunctionCounters& function = slot.function();
      add_function(to.functions, {.name = text_in(function.name),
                                  .hits = function.hits.load(),
                                  .misses = function.misses.load()});
    }
  }
}

struct PublishedFile {
  int pid = 0;
  std::string name;
};

std::vector<PublishedFile> list_files(const std::string& path) {
  struct stat names{};
  ::stat("/proc/self/ns/pid", &names);
  std::vector<PublishedFile> files;
  std::error_code error;
  std::filesystem::directory_iterator at(path, error);
  for (; !error && at != std::filesystem::directory_iterator(); at.increment(error)) {
    std::string name = at->path().filename();
    if (const int pid = process_in(name, names.st_ino)) files.push_back({pid, std::move(name)});
  }
  if (error) throw SystemError("can't list " + base::quoted(path), error.value());
  return files;
}

/// What every process says that publishes, by pid; removes the files of those that have ended.
std::map<int, RunningProgram> read_all(int directory, const std::vector<PublishedFile>& files,
                                       const std::map<int, ProcessInfo>& processes) {
  std::map<int, RunningProgram> all;
  // Rather much for a stack.
  const auto copies = std::make_unique<std::array<File, 2>>();
  auto& [first, again] = *copies;
  for (const auto& [pid, name] : files) {
    if (!os::is_running(os::ProcessId{static_cast<unsigned>(pid)} << 32)) {
      ::unlinkat(directory, name.c_str(), 0);
      continue;
    }
    // Not read, for want of a descriptor perhaps: that says nothing of its end.
    if (!processes.contains(pid)) continue;
    if (!read_file(directory, name.c_str(), first) || !read_file(directory, name.c_str(), again)) {
      continue;
    }
    const auto started = static_cast<std::uint64_t>(processes.at(pid).started.count());
    if (started > first.header.made) {
      ::unlinkat(directory, name.c_str(), 0);  // of an earlier process with this number
      continue;
    }
    RunningProgram& program = all[pid];
    program.pid = pid;
    add_counters(first, again, program);
  }
  return all;
}

/// Whether it is more than a worker, which only calls functions.
bool has_loops(const RunningProgram& program) {
  return !program.loops.empty() || program.ended_loops > 0;
}

/// The nearest process above, or this one, of which `is_one` holds; 0 if there is none.
template <class Predicate>
int nearest(const std::map<int, ProcessInfo>& processes, int pid, Predicate&& is_one) {
  // No more steps than processes, as those that end meanwhile may close a circle.
  for (std::size_t steps = processes.size(); pid > 0 && steps > 0; --steps) {
    if (is_one(pid)) return pid;
    const auto found = processes.find(pid);
    if (found == processes.end()) return 0;
    pid = found->second.parent;
  }
  return 0;
}

}  // namespace

}  // namespace detail::status

std::vector<RunningProgram> running_programs() {
  using namespace detail;
  using namespace detail::status;
  const std::string path = directory_path();
  if (path.empty()) {
    throw NotFound(
        "the environment variable XDG_RUNTIME_DIR names no absolute path, so programs have no "
        "directory to publish their counters in");
  }
  const os::Fd directory = open_directory(path, false);
  if (!directory) {
    if (::access(path.c_str(), F_OK) != 0) return {};  // nobody has published yet
    throw BadArgument("others than this user could write to " + base::quoted(path) +
                      ", so that it is used by no program: remove it, or give it mode 0700");
  }
  // The files first: of each there is a process, or there was one.
  const auto files = list_files(path);
  const auto processes = all_processes();
  auto published = read_all(directory.get(), files, processes);
  const auto is_program = [&](int pid) {
    const auto found = published.find(pid);
    return found != published.end() && has_loops(found->second);
  };
  std::vector<int> within;
  for (auto& [pid, one] : published) {
    const int above = has_loops(one) ? pid : nearest(processes, pid, is_program);
    if (above == 0 || above == pid) continue;
    for (const RunningFunction& function : one.functions) {
      add_function(published[above].functions, function);
    }
    within.push_back(pid);
  }
  for (const int pid : within) published.erase(pid);
  const auto booted = boot_time();
  for (const auto& [pid, info] : processes) {
    const int owner = nearest(processes, pid, [&](int one) { return published.contains(one); });
    if (owner == 0) continue;
    RunningProgram& program = published[owner];
    ++program.processes;
    program.cpu += info.cpu;
    program.memory_bytes += info.memory_bytes;
    if (pid == owner) {
      program.started =
          booted + std::chrono::duration_cast<std::chrono::system_clock::duration>(info.started);
    }
  }
  std::vector<RunningProgram> programs;
  for (auto& [pid, program] : published) {
    if (program.processes == 0) continue;  // has ended meanwhile
    program.command = command_of(pid);
    programs.push_back(std::move(program));
  }
  return programs;
}

}  // namespace hoist
