// SPDX-License-Identifier: BSD-3-Clause
#include "workers/worker_program.hpp"

#include <hoist/error.hpp>

#include <dlfcn.h>
#include <sys/auxv.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <utility>

#include "base/quoted.hpp"
#include "os/file.hpp"
#include "os/mapped_file.hpp"
#include "program/module_map.hpp"
#include "workers/hosted_entry.hpp"

namespace hoist::detail::workers {

namespace {

/// What runs this program once more: the arguments of /proc/self/exe, which leads to the very file
/// that runs, also where another was installed over it.
std::vector<std::string> program_arguments() {
  std::vector<std::string> words;
  std::istringstream line(os::read_text("/proc/self/cmdline").value_or(""));
  for (std::string word; std::getline(line, word, '\0');) words.push_back(word);
  if (words.empty()) return {"hoist-worker"};
  // Where the program was started by calling the dynamic linker, which says so by having no base of
  // its own, the file that runs is the linker: it needs its options and the program again.
  const auto found = std::find(words.begin() + 1, words.end(), program_invocation_name);
  if (::getauxval(AT_BASE) == 0 && words[0] != program_invocation_name && found != words.end()) {
    const void* const mapped = program::loaded_modules()->modules().front()->first_byte();
    if (std::string path = os::mapped_file(mapped).path; !path.empty()) *found = std::move(path);
    words.erase(found + 1, words.end());
    return words;
  }
  words.resize(1);
  return words;
}

/// Whether another copy of hoist makes the program a worker: its __libc_start_main comes before the
/// C library's.
bool has_other_hoist(const program::ModuleMap& modules, const program::Module* own) {
  const void* const first = ::dlsym(RTLD_DEFAULT, "__libc_start_main");
  return first != ::dlsym(RTLD_NEXT, "__libc_start_main") && modules.locate(first).module != own;
}

bool is_program(const std::filesystem::path& path) {
  std::error_code error;
  return std::filesystem::is_regular_file(path, error) && ::access(path.c_str(), X_OK) == 0;
}

std::string find_hoist_worker(const std::filesystem::path& library) {
  // Not from the environment of whoever calls a program with more rights.
  if (const char* const set = ::secure_getenv("HOIST_WORKER"); set != nullptr && *set != '\0') {
    if (is_program(set)) return set;
    throw NotFound("the environment variable HOIST_WORKER names " + base::quoted(set) +
                   ", which is no program; it should be hoist's hoist-worker");
  }
  const std::filesystem::path beside = library.parent_path();
  std::vector<std::filesystem::path> places{beside, beside / "../bin", beside / "../../bin"};
  const char* const path = ::secure_getenv("PATH");
  std::istringstream directories(path != nullptr ? path : "");
  for (std::string one; std::getline(directories, one, ':');) {
    if (one.starts_with('/')) places.emplace_back(one);
  }
  for (const auto& place : places) {
    if (is_program(place / "hoist-worker")) return place / "hoist-worker";
  }
  throw NotFound(
      "this program has no hoist in it, only the library " + base::quoted(library.string()) +
      " has, so it can't run as its own worker. Workers run the program hoist-worker then, which "
      "is installed with hoist: put it beside the library, into the directory \"bin\" beside the "
      "library's directory, or on PATH, or let the environment variable HOIST_WORKER name it");
}

}  // namespace

WorkerProgram worker_program() {
  const auto modules = program::loaded_modules();
  const program::Location entry = modules->locate(&hosted_entry());
  if (can_become_worker() || entry.module == nullptr || entry.module->is_main ||
      has_other_hoist(*modules, entry.module)) {
    return {.path = "/proc/self/exe", .arguments = program_arguments()};
  }
  const std::string& library = entry.module->path;
  return {.path = find_hoist_worker(library),
          .arguments = {"hoist-worker", library, std::to_string(entry.address)},
          .is_hosted = true};
}

}  // namespace hoist::detail::workers
