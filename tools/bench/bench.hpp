// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdio>
#include <functional>
#include <string>
#include <vector>

// hoist_bench [--markdown] [GROUP...]: each row of a group is one line of work, done by hoist and
// by a peer (or the bare machine) in turn within one run; its figure is a ratio of medians with its
// target. Rows that were measured while the machine did something else are marked as such. With
// --markdown they are tables for a page, with the machine, the date and the commit.

namespace bench {

/// Wall-clock seconds of one call.
double seconds(const std::function<void()>& work);

/// Medians of works done in turn (A B C A B C ...), after one uncounted round. `before` is called
/// before each, not counted.
std::vector<double> medians(int rounds, const std::vector<std::function<void()>>& works,
                            const std::function<void()>& before = {});
double median(std::vector<double> samples);

/// Runs a script with Debian's Python and returns the numbers it prints, one a line; empty where
/// that Python or a module is missing (the row then says so).
std::vector<double> python(const std::string& script);

/// A Python that stays, so that its work can be timed in turn with ours: a statement takes 0.1 ms
/// more than it does in there.
class Python {
 public:
  /// Starts Debian's Python with a script, which defines what is to be run.
  explicit Python(const std::string& script);
  Python(const Python&) = delete;
  Python& operator=(const Python&) = delete;
  ~Python();
  /// Runs one line of Python; returns when it is done.
  void run(const std::string& statement);
  /// False if Python or one of its modules is missing, or a statement has failed.
  bool works() const { return works_; }

 private:
  bool wait();

  int pid_ = -1;
  std::FILE* in_ = nullptr;
  std::FILE* out_ = nullptr;
  bool works_ = false;
};

/// Seconds of the first work in a program, measured by hoist_bench_first, which is built beside
/// this one.
double fresh(const std::string& work);

/// Named work for a new process of this program; define one at namespace scope. It prints
/// numbers.
struct Apart {
  Apart(std::string name, void (*run)(int argument));
};
/// The numbers it printed. The process may use the first so many of this one's processors.
std::vector<double> apart(const std::string& name, int argument, int processors);

/// A directory for files of the benchmark, removed at exit: in $HOIST_BENCH_DIR or the working
/// directory.
const std::string& scratch();

enum class Goal { at_least, at_most };

/// Prints one row: `ours` and `other` in `unit`, their ratio ours / other, the target, and whether
/// it is met. Speeds have Goal::at_least, times Goal::at_most; a NaN prints as missing.
void row(const std::string& work, const std::string& unit, double ours,
         const std::string& other_name, double other, Goal goal, double target);
/// A line of context: what was measured, on how much.
void note(const std::string& text);

/// Checks at the start of a group whether the machine is busy with other work, and reports it.
void look_whether_quiet();
/// Appended to a row: empty, or a note that the machine was not quiet before or after the
/// measurement.
std::string disturbance();

/// Makes `run` callable as a group, or a part of one, by name; define one at namespace scope.
struct Group {
  Group(std::string name, void (*run)());
};

/// Keeps the compiler from optimising a result away.
template <class T>
void keep(const T& value) {
  asm volatile("" : : "r,m"(value) : "memory");
}

}  // namespace bench
