// SPDX-License-Identifier: BSD-3-Clause
#include "slurm/fleet.hpp"

#include <hoist/error.hpp>

#include <algorithm>
#include <cstdlib>
#include <utility>
#include <vector>

#include "os/atomic_file.hpp"
#include "os/log.hpp"
#include "os/own_thread.hpp"
#include "slurm/command.hpp"
#include "slurm/journal.hpp"
#include "slurm/queue.hpp"

namespace hoist::detail::slurm {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds tick{1000};
/// Slurm's controller serves the whole cluster.
constexpr std::chrono::milliseconds between_questions{5000};
/// A loop that has been moving messages within that time.
constexpr std::chrono::seconds recently{5};
/// Hosts that end without ever joining are not started again and again.
constexpr int most_failures = 3;
/// As long as a job may be.
constexpr std::chrono::hours step_limit{24 * 365};
constexpr std::chrono::seconds step_patience{5};
/// Hosts leave that long before their time limit.
constexpr int seconds_to_leave = 60;

bool is_inside_allocation() {
  const char* const job = std::getenv("SLURM_JOB_ID");
  return job != nullptr && *job != '\0';
}

unsigned nodes_of_allocation() {
  for (const char* name : {"SLURM_JOB_NUM_NODES", "SLURM_NNODES"}) {
    if (const char* const text = std::getenv(name)) {
      return static_cast<unsigned>(std::max(1, std::atoi(text)));
    }
  }
  return 1;
}

}  // namespace

Fleet::Fleet(const SlurmOptions& options, std::string variable, std::string value,
             std::filesystem::path directory, std::function<void()> changed)
    : options_(options),
      variable_(std::move(variable)),
      value_(std::move(value)),
      directory_(std::move(directory)),
      changed_(std::move(changed)),
      is_inside_(is_inside_allocation()),
      job_(new_name()) {
  if (is_inside_) expected_ = nodes_of_allocation();
  want();
  thread_ = os::own_thread("hoist-fleet", [this] { run(); });
}

Fleet::~Fleet() {
  stop();
  finish();
}

std::string Fleet::failure() const {
  const std::lock_guard lock(mutex_);
  return failure_;
}

void Fleet::fail(const std::string& why) {
  {
    const std::lock_guard lock(mutex_);
    if (!is_stopped_) failure_ = why;
  }
  changed_();
}

bool Fleet::is_wanted() const {
  const Clock::time_point last{Clock::duration(wanted_.load())};
  return Clock::now() - last < recently;
}

/// False once it is to stop.
bool Fleet::pause(std::chrono::milliseconds time) {
  std::unique_lock lock(mutex_);
  return !changed_state_.wait_for(lock, time, [this] { return is_stopped_; });
}

void Fleet::run() {
  try {
    is_inside_ ? run_step() : keep_array();
  } catch (const std::exception& error) {
    fail(error.what());
  }
  {
    const std::lock_guard lock(mutex_);
    is_done_ = true;
  }
  changed_state_.notify_all();
}

/// Hosts on the nodes of the allocation, which end when they are told to, or with the allocation.
void Fleet::run_step() {
  const CommandEnd end = run_command(
      {"env", variable_ + "=" + value_, "srun", "--job-name=" + job_,
       "--nodes=" + std::to_string(expected_), "--ntasks=" + std::to_string(expected_),
       "--ntasks-per-node=1", "--no-kill", "--kill-on-bad-exit=0", "--wait=0", "--overlap",
       "--mem=0", "--cpu-bind=none", "--quiet", "--mpi=none", "--input=none",
       "--signal=TERM@" + std::to_string(seconds_to_leave), "--export=ALL", program_file()},
      step_limit);
  fail("srun has ended" + (end.errors.empty() ? std::string() : ": " + end.errors));
}

void Fleet::keep_array() {
  bool is_submitted = false;
  auto next_question = Clock::now();
  do {
    changed_();
    if (Clock::now() < next_question || !is_wanted()) continue;
    next_question = Clock::now() + between_questions;
    const auto jobs = is_submitted ? find_jobs(job_) : std::vector<JobState>();
    if (!jobs) continue;  // Slurm does not answer now
    const auto alive = std::ranges::count_if(*jobs, &JobState::is_alive);
    const auto failed = std::ranges::count(*jobs, "FAILED", &JobState::state);
    if (failed >= most_failures && failed > joined_.load()) {
      const std::string said = last_lines(directory_ / "output");
      return fail("those that Slurm has started end before they have joined" +
                  (said.empty() ? ", and say nothing, as where SlurmOptions::directory is not one "
                                  "that all nodes share"
                                : "; they said:\n" + said));
    }
    if (alive >= options_.hosts) continue;
    is_submitted = true;  // even if Slurm does not answer: it may have taken them
    submit(options_.hosts - static_cast<unsigned>(alive));
  } while (pause(tick));
}

void Fleet::submit(unsigned hosts) {
  // Those of an allocation that is given up without a word would be missed for long.
  const bool may_leave = options_.time.count() * 60 > 2 * seconds_to_leave;
  const std::string script =
      "#!/bin/sh\n#SBATCH --job-name=" + job_ + "\n#SBATCH --array=0-" + std::to_string(hosts - 1) +
      "\n#SBATCH --requeue\n#SBATCH --open-mode=append\n" +
      output_directive(directory_ / "output") +
      (may_leave ? "#SBATCH --signal=B:TERM@" + std::to_string(seconds_to_leave) + "\n" : "") +
      directives(options_) + "export " + variable_ + "=" + single_quoted(value_) + "\nexec " +
      single_quoted(program_file()) + "\n";
  const auto path = directory_ / "hosts.sh";
  {
    os::AtomicFile file(path);
    file.write(std::as_bytes(std::span(script)));
    file.commit();
  }
  try {
    slurm::submit(path, job_, options_);
  } catch (const NotFound&) {
    throw;
  } catch (const Error& error) {
    if (!is_temporary(error)) throw;
    os::log(LogLevel::warning, "slurm", std::string(error.what()) + "; tried again");
  }
}

void Fleet::stop() {
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(is_stopped_, true)) return;
  }
  changed_state_.notify_all();
  if (!is_inside_) thread_.join();
}

void Fleet::finish() {
  if (is_inside_) {
    // The step ends with its hosts; those on nodes that are gone are not waited for.
    std::unique_lock lock(mutex_);
    const bool is_done = changed_state_.wait_for(lock, step_patience, [this] { return is_done_; });
    lock.unlock();
    if (thread_.joinable()) is_done ? thread_.join() : thread_.detach();
    return;
  }
  try {
    cancel_jobs(job_);
  } catch (const Error&) {
    // Without Slurm's commands there are no jobs.
  }
}

}  // namespace hoist::detail::slurm
