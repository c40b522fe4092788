// SPDX-License-Identifier: BSD-3-Clause
#include "slurm/queue.hpp"

#include <hoist/error.hpp>

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <chrono>
#include <sstream>
#include <string_view>
#include <utility>

#include "base/quoted.hpp"
#include "base/random_name.hpp"
#include "slurm/command.hpp"

namespace hoist::detail::slurm {

namespace {

/// Slurm's commands wait for a controller that is slow for about so long (MessageTimeout is 10 s).
constexpr auto command_limit = std::chrono::seconds(60);

std::vector<std::string> split(std::string_view text, char at) {
  std::vector<std::string> parts;
  for (;;) {
    const std::size_t end = text.find(at);
    parts.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

std::string user() { return std::to_string(::getuid()); }

/// Variables that must not outdo what a script says. Those of what it leaves to the cluster stay:
/// they are the user's defaults.
std::vector<std::string> outdoing(const SlurmOptions& options) {
  std::vector<std::string> names = {"ARRAY_INX",  "OPEN_MODE", "OUTPUT", "REQUEUE",
                                    "NO_REQUEUE", "SIGNAL",    "WAIT"};
  if (!options.partition.empty()) names.push_back("PARTITION");
  if (!options.account.empty()) names.push_back("ACCOUNT");
  if (options.time.count() > 0) names.push_back("TIMELIMIT");
  if (options.memory.bytes() > 0) {
    for (const char* name : {"MEM_PER_NODE", "MEM_PER_CPU", "MEM_PER_GPU"}) names.push_back(name);
  }
  for (const std::string& option : options.extra) {
    if (!option.starts_with("--")) continue;
    std::string name = option.substr(2, option.find_first_of("= ") - 2);
    for (char& c : name) c = c == '-' ? '_' : static_cast<char>(std::toupper(c));
    names.push_back(name == "TIME" ? "TIMELIMIT" : name == "MEM" ? "MEM_PER_NODE" : name);
  }
  for (std::string& name : names) name.insert(0, "SBATCH_").append("=");
  return names;
}

}  // namespace

bool JobState::is_alive() const {
  constexpr std::array<std::string_view, 14> alive = {
      "PENDING",       "RUNNING",      "SUSPENDED",   "CONFIGURING",  "COMPLETING",
      "REQUEUED",      "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT", "RESIZING",
      "RESV_DEL_HOLD", "SIGNALING",    "STAGE_OUT",   "STOPPED"};
  return std::find(alive.begin(), alive.end(), state) != alive.end();
}

SlurmState JobState::meaning() const {
  constexpr std::pair<std::string_view, SlurmState> meanings[] = {
      {"TIMEOUT", SlurmState::timed_out},
      {"DEADLINE", SlurmState::timed_out},
      {"OUT_OF_MEMORY", SlurmState::out_of_memory},
      {"NODE_FAIL", SlurmState::node_failed},
      {"BOOT_FAIL", SlurmState::node_failed},
      {"PREEMPTED", SlurmState::preempted},
      {"FAILED", SlurmState::failed},
      {"COMPLETED", SlurmState::failed},
      {"CANCELLED", SlurmState::cancelled},
      {"REVOKED", SlurmState::cancelled}};
  for (const auto& [name, meaning] : meanings) {
    if (state == name) return meaning;
  }
  return SlurmState::unknown;
}

std::string directives(const SlurmOptions& options) {
  std::string text;
  const auto add = [&](const std::string& option) { text += "#SBATCH " + option + "\n"; };
  add("--ntasks=1");
  add("--cpus-per-task=" + std::to_string(std::max(1U, options.cores)));
  if (!options.partition.empty()) add("--partition=" + options.partition);
  if (!options.account.empty()) add("--account=" + options.account);
  if (options.time.count() > 0) add("--time=" + std::to_string(options.time.count()));
  if (options.memory.bytes() > 0) {
    add("--mem=" + std::to_string((options.memory.bytes() + 1023) / 1024) + "K");
  }
  for (const std::string& option : options.extra) add(option);
  return text;
}

std::string output_directive(const std::filesystem::path& file, const std::string& pattern) {
  std::string name;
  for (const char c : file.string()) {
    // A backslash anywhere in it makes Slurm take patterns for names.
    if (c == '\\' || c == '\n') {
      throw BadArgument("Slurm can't write to " + base::quoted(file.string()) +
                        ": choose a SlurmOptions::directory without backslashes and line breaks");
    }
    if (c == '%') name += '%';
    if (c == '"') name += '\\';
    name += c;
  }
  return "#SBATCH --output=\"" + name + pattern + "\"\n";
}

std::string new_name() { return "hoist-" + base::random_name(16); }

std::string single_quoted(const std::string& text) {
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

bool is_temporary(const Error& error) {
  const std::string_view what = error.what();
  return what.find("Unable to contact") != std::string_view::npos ||
         what.find("temporarily") != std::string_view::npos ||
         what.find("timed out") != std::string_view::npos ||
         what.find("did not answer") != std::string_view::npos;
}

std::string program_file() {
  std::error_code error;
  const auto file = std::filesystem::canonical("/proc/self/exe", error);
  if (!error) return file.string();
  throw Error(
      "Slurm can't start this program's file, which was removed or replaced since the program "
      "began: start the program again, and leave its file alone while it runs");
}

void submit(const std::filesystem::path& script, const std::string& name,
            const SlurmOptions& options) {
  // Jobs are found by their name, and SBATCH_JOB_NAME outdoes what a script says.
  const CommandEnd end =
      run_command({"sbatch", "--parsable", "--job-name=" + name, script.string()}, command_limit,
                  outdoing(options));
  if (end.succeeded) return;
  throw Error("sbatch refused " + script.string() + ": " +
              (end.in_time ? end.errors : "it did not answer for a minute"));
}

std::optional<std::vector<JobState>> find_jobs(const std::string& name) {
  const CommandEnd end =
      run_command({"squeue", "--noheader", "--array", "--states=all", "--user=" + user(),
                   "--name=" + name, "--format=%F|%K|%T|%N|%r"},
                  command_limit, {"SQUEUE_"});
  if (!end.succeeded) return std::nullopt;
  std::vector<JobState> jobs;
  std::istringstream lines(end.output);
  for (std::string line; std::getline(lines, line);) {
    const auto fields = split(line, '|');
    if (fields.size() < 5) continue;
    JobState job{.job = fields[0] + "_" + fields[1], .state = fields[2], .reason = fields[4]};
    const std::string& number = fields[1];
    std::from_chars(number.data(), number.data() + number.size(), job.element);
    job.node = fields[3];
    jobs.push_back(std::move(job));
  }
  return jobs;
}

void cancel_jobs(const std::string& name) {
  run_command({"scancel", "--user=" + user(), "--name=" + name}, command_limit, {"SCANCEL_"});
}

void cancel_job(const std::string& job) {
  run_command({"scancel", job}, command_limit, {"SCANCEL_"});
}

}  // namespace hoist::detail::slurm
