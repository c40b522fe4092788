// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/digest.hpp>

#include <compare>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace hoist::detail::slurm {

/// What tells a task of a loop from all others, in this run of the program and the next: its
/// number, and a digest of its code and arguments.
struct TaskKey {
  std::size_t index = 0;
  Digest digest;
  std::string name() const { return std::to_string(index) + "-" + digest.hex(); }
  friend auto operator<=>(const TaskKey&, const TaskKey&) = default;
};

/// A job array that was submitted, and the tasks of each of its elements.
struct Submission {
  std::string name;  ///< the job's name, which nobody else has
  std::vector<std::vector<TaskKey>> elements;
};

/// The directory of one loop. What is in it is complete once it is there.
class Journal {
 public:
  /// Makes it, where there is none. Throws SystemError, and BadArgument if it is in a directory of
  /// another build of this program.
  explicit Journal(std::filesystem::path directory);

  // Names of files.
  std::filesystem::path script(const std::string& job) const { return in("jobs", job + ".sh"); }
  /// Followed by a dot and the element's number.
  std::filesystem::path chunks(const std::string& job) const { return in("chunks", job); }
  std::filesystem::path chunk(const std::string& job, std::size_t element) const {
    return in("chunks", job + "." + std::to_string(element));
  }
  std::filesystem::path output(const std::string& job, std::size_t element) const {
    return in("output", job + "." + std::to_string(element));
  }
  std::filesystem::path result(const TaskKey& key) const { return in("results", key.name()); }
  std::filesystem::path blob(const Digest& digest) const { return in("blobs", digest.hex()); }

  /// Locked by the program whose loop it is.
  std::filesystem::path lock() const { return directory_ / "lock"; }

  /// The results that are there.
  std::set<std::string> results() const;
  void remove_result(const TaskKey& key) const;
  /// Notes a submission, before Slurm hears of it.
  void add(const Submission& submission) const;
  std::vector<Submission> submissions() const;
  /// Of one that has ended: what it was given is not needed any more.
  void forget(const std::string& job) const;

 private:
  std::filesystem::path in(const char* folder, const std::string& name) const {
    return directory_ / folder / name;
  }
  std::filesystem::path directory_;
};

/// The last lines of a file, for messages; empty if it can't be read.
std::string last_lines(const std::filesystem::path& path);

}  // namespace hoist::detail::slurm
