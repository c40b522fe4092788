// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/slurm.hpp>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

// Slurm, by its command line.

namespace hoist::detail::slurm {

/// One element of a job array, as Slurm sees it.
struct JobState {
  std::string job;        ///< "1234_5", as commands take it
  unsigned element = 0;   ///< its number in the array
  std::string state;      ///< RUNNING, TIMEOUT, ...
  std::string reason;     ///< of that, where there is one
  std::string node = {};  ///< where it runs or has run

  /// Whether it may still do something: it waits, runs, or is being put into the queue again.
  bool is_alive() const;
  /// How it ended. That an element has ended well without a result is a failure, too.
  SlurmState meaning() const;
};

/// The lines of a script for sbatch that ask for what the options say.
std::string directives(const SlurmOptions& options);

/// For a job or a directory: one that nobody else has.
std::string new_name();
/// Text as a shell takes it.
std::string single_quoted(const std::string& text);
/// A line for sbatch that has a job write to that file; `pattern` (%a) completes its name. Throws
/// BadArgument for a name that Slurm can't be told.
std::string output_directive(const std::filesystem::path& file, const std::string& pattern = {});
/// The file of this program, for scripts. Throws Error if it has been removed or replaced.
std::string program_file();
/// Submits a script, which asks for what the options say, as jobs of that name. Throws Error with
/// what sbatch said.
void submit(const std::filesystem::path& script, const std::string& name,
            const SlurmOptions& options);
/// Whether that may be otherwise soon: the controller does not answer, or limits others, too.
bool is_temporary(const Error& error);
/// All jobs of this user by that name that Slurm still knows of, ended ones too; nothing if it does
/// not answer now.
std::optional<std::vector<JobState>> find_jobs(const std::string& name);
/// Cancels all jobs of this user by that name, or one job, as far as Slurm answers.
void cancel_jobs(const std::string& name);
void cancel_job(const std::string& job);

}  // namespace hoist::detail::slurm
