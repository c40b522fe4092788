// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/requirements.hpp>

#include <hoist/byte_size.hpp>
#include <hoist/error.hpp>

#include <chrono>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

// For programs that are linked with hoist::slurm. docs/guide/cluster.md tells how loops get to the
// nodes of a Slurm cluster.

namespace hoist {

/// How loops with `.backend = "slurm"` use the cluster.
enum class SlurmMode : unsigned char {
  /// For tasks of any length: worker hosts on the nodes take tasks from this program while it runs.
  launcher,
  /// For tasks of minutes to days: each task, or batch of `batch_size` tasks, is an element of a
  /// job array, and `directory` is a journal. The program may end, and go on where it stopped.
  array,
};

/// What Slurm is asked for. What is left out is what the environment (SBATCH_PARTITION, ...) or the
/// cluster has as its default.
struct SlurmOptions {
  SlurmMode mode = SlurmMode::launcher;
  /// A directory that all nodes share; it is made if there is none. Launcher: for messages while
  /// the program runs. Array: the journal, which has to be named; who can write there can run code
  /// in this program and in its tasks.
  std::filesystem::path directory = {};
  std::string partition = {};
  std::string account = {};
  /// Time limit of an element, or of a worker host outside of an allocation; 0 for the default.
  std::chrono::minutes time{0};
  /// Memory of such a job on its node; 0 for the default.
  ByteSize memory = 0;
  /// Cores of an element, which its task may use; of a worker host, which has as many workers.
  unsigned cores = 1;
  /// Launcher outside of an allocation: how many worker hosts are asked for, at least 1.
  unsigned hosts = 1;
  /// Further options of sbatch, such as "--constraint=skylake".
  std::vector<std::string> extra = {};
};

/// Sets what this process's loops with `.backend = "slurm"` use, in array mode those that start
/// afterwards, in launcher mode all: BadArgument once one has its hosts, for no hosts, and for an
/// array without a directory. Runs no command. Thread-safe.
void use_slurm(const SlurmOptions& options);

/// How Slurm says that a job ended; its own names for states are TIMEOUT, and so on.
enum class SlurmState : unsigned char {
  failed,         ///< the element itself ended with an error
  timed_out,      ///< its time limit (SlurmOptions::time) was over
  out_of_memory,  ///< it used more than SlurmOptions::memory
  node_failed,    ///< three times, or OnLostHost::fail is set; otherwise it is run again
  preempted,      ///< likewise
  cancelled,      ///< by somebody else, by scancel
  unknown,        ///< it is gone, and Slurm does not tell how it ended
};

/// An element of a job array ended without the result of the task that it ran. The text has Slurm's
/// reason and the last lines that the task has printed. (A task that crashes is a WorkerDied, as
/// with worker processes on this machine, and one that throws has its own exception.)
class SlurmJobEnded : public WorkerDied {
 public:
  SlurmJobEnded(const std::string& what, SlurmState state, std::string job)
      : WorkerDied(what, 0, 0, 0), state_(state), job_(std::move(job)) {}
  SlurmState state() const noexcept { return state_; }
  /// As Slurm's commands take it: "1234_5".
  const std::string& job() const noexcept { return job_; }

 private:
  SlurmState state_;
  std::string job_;
};

}  // namespace hoist
