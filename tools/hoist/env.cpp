// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <hoist/backend.hpp>
#include <hoist/cpu_count.hpp>
#include <hoist/version.hpp>

#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "commands.hpp"
#include "json.hpp"
#include "output.hpp"

namespace hoist::tool {

namespace {

using Lines = std::vector<std::pair<std::string, std::string>>;

/// Where that is a URL, programs become worker hosts before main. The tool has no tasks to run: it
/// is to do what it was asked for, on machines where the variable is set for all programs.
const std::string worker_variable = [] {
  const char* const value = std::getenv("HOIST_WORKER");
  std::string text = value != nullptr ? value : "";
  if (text.find("://") != std::string::npos) ::unsetenv("HOIST_WORKER");
  return text;
}();

/// The output is for bug reports, which others read.
std::string without_password(const std::string& text) {
  const std::size_t scheme = text.find("://");
  const std::size_t at = text.rfind('@');
  if (scheme == std::string::npos || at == std::string::npos || at < scheme) return text;
  return text.substr(0, scheme + 3) + "***" + text.substr(at);
}

std::string limit_text(int resource) {
  rlimit limit{};
  if (::getrlimit(static_cast<__rlimit_resource>(resource), &limit) != 0) return "unknown";
  return limit.rlim_cur == RLIM_INFINITY ? "unlimited" : count_text(limit.rlim_cur);
}

std::string room_at(const std::filesystem::path& path) {
  struct statvfs status{};
  if (::statvfs(path.c_str(), &status) != 0) return path.string() + " (missing)";
  return fmt::format("{}, {} free of {}", path.string(),
                     bytes_text(std::uint64_t{status.f_bavail} * status.f_frsize),
                     bytes_text(std::uint64_t{status.f_blocks} * status.f_frsize));
}

/// The value of a line "name: value" in a file; empty if there is none.
std::string line_in(const char* file, const std::string& name) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with(name)) continue;
    const std::size_t from = line.find_first_not_of(" \t:", name.size());
    return from == std::string::npos ? "" : line.substr(from);
  }
  return {};
}

std::string system_name() {
  const std::string name = line_in("/etc/os-release", "PRETTY_NAME=");
  return name.size() >= 2 && name.front() == '"' ? name.substr(1, name.size() - 2) : name;
}

Lines environment() {
  Lines lines;
  const auto add = [&](std::string name, std::string text) {
    lines.push_back({std::move(name), std::move(text)});
  };
  utsname kernel{};
  ::uname(&kernel);
  add("hoist", HOIST_VERSION_STRING);
  add("compiler", HOIST_COMPILER_TEXT);
  add("system", system_name());
  add("kernel", fmt::format("{} {} {}", kernel.sysname, kernel.release, kernel.machine));
  add("processor", line_in("/proc/cpuinfo", "model name"));
  add("cores", std::to_string(cpu_count()));
  add("physical cores", std::to_string(cpu_count({.only_physical = true})));
  std::string backends;
  for (const std::string& name : backend_names()) backends += (backends.empty() ? "" : ", ") + name;
  add("backends", backends);
  add("memory", line_in("/proc/meminfo", "MemTotal"));
  add("available memory", line_in("/proc/meminfo", "MemAvailable"));
  add("shared memory", room_at("/dev/shm"));
  std::error_code error;
  const char* folder = std::getenv("HOIST_TEMP_FOLDER");
  add("temporary files",
      room_at(folder != nullptr && *folder != '\0' ? std::filesystem::path(folder)
                                                   : std::filesystem::temp_directory_path(error)));
  add("open files", limit_text(RLIMIT_NOFILE));
  add("processes", limit_text(RLIMIT_NPROC));
  add("address space", limit_text(RLIMIT_AS));
  for (const char* name : {"HOIST_N_JOBS", "HOIST_BACKEND", "HOIST_MAX_CPU_COUNT", "HOIST_CACHE",
                           "HOIST_MAX_SHARED_BYTES", "OMP_NUM_THREADS"}) {
    if (const char* value = std::getenv(name)) add(name, without_password(value));
  }
  if (!worker_variable.empty()) add("HOIST_WORKER", without_password(worker_variable));
  return lines;
}

void print_environment(bool as_json) {
  const Lines lines = environment();
  if (as_json) {
    Json json;
    json.begin_object();
    for (const auto& [name, value] : lines) json.member(name, value);
    json.member("why so many cores", explain_cpu_count()).end_object().print();
    return;
  }
  for (const auto& [name, value] : lines) fmt::print("{:<18} {}\n", name, value);
  fmt::print("\n{}\n{}", bold("Why so many cores"), explain_cpu_count());
}

}  // namespace

void add_env(CLI::App& app) {
  auto as_json = std::make_shared<bool>(false);
  CLI::App* command = app.add_subcommand(
      "env", "What hoist finds on this machine: cores and why, backends, limits, folders");
  command->add_flag("--json", *as_json, "As JSON");
  command->footer("To be added to a bug report.\n\nExample:\n  hoist env > env.txt");
  command->callback([as_json] { print_environment(*as_json); });
}

}  // namespace hoist::tool
