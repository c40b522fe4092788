// SPDX-License-Identifier: BSD-3-Clause
#include "slurm/array_session.hpp"

#include <hoist/error.hpp>
#include <hoist/parallel_options.hpp>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/quoted.hpp"
#include "os/atomic_file.hpp"
#include "os/file.hpp"
#include "os/log.hpp"
#include "slurm/chunk.hpp"
#include "slurm/element.hpp"
#include "slurm/journal.hpp"
#include "slurm/queue.hpp"
#include "slurm/result_file.hpp"
#include "workers/worker_program.hpp"

namespace hoist::detail::slurm {

namespace {

/// Results are looked for sooner at first: the file system is asked by one process per loop.
constexpr std::chrono::milliseconds soonest_look{50};
constexpr std::chrono::milliseconds latest_look{2000};
/// Slurm is asked less often, since its controller serves the whole cluster.
constexpr std::chrono::milliseconds soonest_question{1000};
constexpr std::chrono::milliseconds latest_question{30000};
/// A result that was written on another machine may be seen here so much later.
constexpr std::chrono::seconds visibility{3};
/// Another try, where Slurm takes no job now.
constexpr std::chrono::seconds between_tries{10};
constexpr int most_tries = 30;
/// How long to wait for cancelled elements to end.
constexpr std::chrono::seconds cancel_patience{30};
/// That many machines are not lost by chance while they run one and the same task.
constexpr unsigned most_lost = 3;

/// A loop over the same tasks finds its directory again by how many loops came before it.
std::string next_loop() {
  static std::atomic<unsigned> last{0};
  return "loop-" + std::to_string(++last);
}

/// Two programs would take each other's results of failed tasks, and cancel each other's jobs. None
/// where the file system has no locks.
os::Fd lock_of(const Journal& journal) {
  os::Fd lock(::open(journal.lock().c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (lock && ::flock(lock.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    throw BadArgument(base::quoted(journal.lock().string()) +
                      " is locked: another run of the program is in this loop now; wait for its "
                      "end, or use another SlurmOptions::directory");
  }
  return lock;
}

/// An element that was submitted, by this run of the program or an earlier one.
struct Submitted {
  std::string job;  ///< its array's name
  std::size_t number = 0;
  std::vector<TaskKey> tasks;          ///< in the order in which they run
  std::set<TaskKey> open = {};         ///< those that the loop has taken, and that are not settled
  std::size_t left = tasks.size();     ///< those that are not settled
  std::optional<JobState> ended = {};  ///< once Slurm has said so
  Clock::time_point ended_since = {};
  bool is_open() const { return !open.empty(); }
};

class ArraySession final : public Session {
 public:
  ArraySession(Loop& loop, const SlurmOptions& options)
      : loop_(loop),
        options_(options),
        journal_(std::filesystem::absolute(options.directory) / next_loop()),
        lock_(lock_of(journal_)),
        parts_(loop, journal_) {
    adopt();
  }
  ~ArraySession() override {
    try {
      stop();
    } catch (...) {
      // Another exception ends the loop, or it has all its results.
    }
  }

  void wake(std::size_t) override {}

  void work(unsigned seen, Clock::time_point deadline) override {
    if (fetch()) submit();
    const auto now = Clock::now();
    if (now >= next_look_) look(now);
    if (now >= next_question_ && !elements_.empty()) ask(now);
    deadline = std::min(deadline, next_look_);
    if (!chunks_.empty()) deadline = std::min(deadline, next_try_);
    loop_.wait(seen, deadline);
  }

  void kill(std::size_t task) override {
    for (auto& element : elements_) {
      const bool has = std::ranges::any_of(
          element.open, [task](const TaskKey& key) { return key.index == task; });
      if (has) cancel_element(element);
    }
  }

  void stop() override {
    if (std::exchange(stopped_, true)) return;
    std::set<std::string> jobs;
    for (const Submitted& element : elements_) {
      if (element.left > 0) jobs.insert(element.job);
    }
    if (tries_ > 0) jobs.insert(job_);  // which may have arrived without an answer
    for (const std::string& job : jobs) cancel_jobs(job);
    const auto end = Clock::now() + cancel_patience;
    for (const std::string& job : jobs) {
      // One that may still run is left to the next run of the program, which asks again.
      if (await_end(job, end)) journal_.forget(job);
    }
  }

 private:
  static bool has_ended(const std::string& job) {
    const auto states = find_jobs(job);
    return states && std::ranges::none_of(*states, &JobState::is_alive);
  }

  /// Waits for the elements of an array that was cancelled, until `deadline`. Returns whether all
  /// have ended.
  static bool await_end(const std::string& job, Clock::time_point deadline) {
    for (auto interval = soonest_question; !has_ended(job); interval = later_question(interval)) {
      if (Clock::now() >= deadline) return false;
      std::this_thread::sleep_until(std::min(deadline, Clock::now() + interval));
    }
    return true;
  }

  static std::chrono::milliseconds later_question(std::chrono::milliseconds interval) {
    return std::min(latest_question, 5 * interval / 4);
  }

  /// Arrays of an earlier run of the program whose elements still wait or run: their results are
  /// waited for.
  void adopt() {
    for (Submission& submission : journal_.submissions()) {
      const auto states = find_jobs(submission.name);
      if (!states) throw Error("squeue doesn't tell whether jobs of an earlier run still run");
      if (std::ranges::none_of(*states, &JobState::is_alive)) {
        journal_.forget(submission.name);
        continue;
      }
      for (const JobState& state : *states) {
        if (!state.is_alive() || state.element >= submission.elements.size()) continue;
        elements_.push_back({.job = submission.name,
                             .number = state.element,
                             .tasks = std::move(submission.elements[state.element])});
      }
    }
  }

  bool has_room() const {
    const auto used = std::ranges::count_if(elements_, &Submitted::is_open) + std::ssize(chunks_);
    return used < static_cast<std::ptrdiff_t>(loop_.n_jobs());
  }

  /// Takes tasks, as far as elements may be submitted. Returns whether there are any to submit.
  bool fetch() {
    bool is_new = true;
    // Not once Slurm may have the array, nor more than Slurm takes (MaxArraySize).
    while (!loop_.stopping() && has_room() && tries_ == 0 && chunks_.size() < most_elements) {
      TaskRange range;
      worker_.batch = 1;  // what takes minutes goes alone, unless the user says otherwise
      if (!loop_.take(range, worker_)) break;
      if (std::exchange(is_new, false)) results_ = journal_.results();
      prepare(range);
    }
    return !chunks_.empty() && Clock::now() >= next_try_;
  }

  /// Puts the tasks that have no result yet, and are in no element, into a chunk.
  void prepare(TaskRange range) {
    const unsigned attempt = loop_.attempt(range);
    ChunkWriter chunk(parts_);
    for (std::size_t task = range.first; task < range.last; ++task) {
      try {
        const TaskKey key = chunk.encode(task);
        if (results_.contains(key.name())) {
          settle(key);
        } else if (Submitted* const element = find_element(key)) {
          element->open.insert(key);
          next_look_ = {};
        } else {
          chunk.append(key, attempt);
        }
      } catch (...) {
        loop_.failed(task, worker_, std::current_exception(), Clock::now(), 0);
      }
    }
    parts_.segments.sweep({});
    if (chunk.tasks().empty()) return;
    if (chunks_.empty()) job_ = new_name();
    chunk.write(journal_.chunk(job_, chunks_.size()));
    chunks_.push_back(chunk.tasks());
  }

  Submitted* find_element(const TaskKey& key) {
    for (Submitted& element : elements_) {
      if (!element.ended && std::ranges::find(element.tasks, key) != element.tasks.end()) {
        return &element;
      }
    }
    return nullptr;
  }

  /// Has Slurm run the chunks. The submission is noted first: should this process end now, the next
  /// finds out by the name whether Slurm has it.
  void submit() {
    journal_.add({.name = job_, .elements = chunks_});
    write_script();
    try {
      if (tries_ == 0 || !has_arrived()) slurm::submit(journal_.script(job_), job_, options_);
    } catch (const NotFound&) {
      throw;
    } catch (const Error& error) {
      // It may have arrived without an answer.
      const auto states = find_jobs(job_);
      if (!states || states->empty()) return try_again(error);
    }
    tries_ = 0;
    for (std::size_t number = 0; number < chunks_.size(); ++number) {
      elements_.push_back({.job = job_,
                           .number = number,
                           .tasks = chunks_[number],
                           .open = {chunks_[number].begin(), chunks_[number].end()}});
    }
    chunks_.clear();
    next_look_ = {};
    look_interval_ = soonest_look;
    next_question_ = Clock::now() + soonest_question;
    question_interval_ = soonest_question;
  }

  /// Whether an earlier try has arrived without an answer.
  bool has_arrived() const {
    const auto states = find_jobs(job_);
    if (!states) throw Error("squeue did not answer");
    return !states->empty();
  }

  /// Where others are under way, limits on jobs are a reason to wait: an error would cancel those.
  /// So, for a while, is a controller that is being restarted.
  void try_again(const Error& error) {
    const bool has_others = std::ranges::any_of(elements_, &Submitted::is_open);
    if (!has_others && (!is_temporary(error) || tries_ >= most_tries)) {
      journal_.forget(job_);
      throw error;
    }
    if (tries_ == 0 || !has_others) {
      os::log(LogLevel::warning, "slurm", std::string(error.what()) + "; tried again");
    }
    tries_ = has_others ? 1 : tries_ + 1;
    next_try_ = Clock::now() + between_tries;
  }

  void write_script() {
    const workers::WorkerProgram program = workers::worker_program();
    if (program.is_hosted) {
      throw BadArgument(
          "job arrays need a program with hoist in it, not only in a library it loads");
    }
    const bool reruns = loop_.options().on_lost_host == OnLostHost::rerun;
    std::string output = journal_.output(job_, 0).string();
    output.pop_back();  // the number
    const std::string script = "#!/bin/sh\n#SBATCH --job-name=" + job_ + "\n#SBATCH --array=0-" +
                               std::to_string(chunks_.size() - 1) + "\n#SBATCH " +
                               (reruns ? "--requeue" : "--no-requeue") +
                               "\n#SBATCH --open-mode=append\n" + output_directive(output, "%a") +
                               directives(options_) + "export " + element_variable + "=" +
                               single_quoted(journal_.chunks(job_).string()) + "\nexec " +
                               single_quoted(program_file()) + "\n";
    os::AtomicFile file(journal_.script(job_));
    file.write(std::as_bytes(std::span(script)));
    file.commit(true);
  }

  /// Settles what has a result by now.
  void look(Clock::time_point now) {
    const bool is_waiting = std::ranges::any_of(elements_, &Submitted::is_open);
    bool any = false;
    if (is_waiting) {
      results_ = journal_.results();
      for (Submitted& element : elements_) any = settle_all(element) || any;
      for (Submitted& element : elements_) any = end(element, now) || any;
      tidy();
    }
    look_interval_ = any ? soonest_look : std::min(latest_look, 5 * look_interval_ / 4);
    next_look_ = is_waiting || !chunks_.empty() ? now + look_interval_ : Clock::time_point::max();
  }

  bool settle_all(Submitted& element) {
    std::vector<TaskKey> there;
    for (const TaskKey& key : element.open) {
      if (results_.contains(key.name())) there.push_back(key);
    }
    for (const TaskKey& key : there) {
      element.open.erase(key);
      --element.left;
      settle(key);
    }
    return !there.empty();
  }

  /// Reports a result. That of a task that failed is not kept: if it is run again, by this loop or
  /// the next run of the program, that is another try.
  void settle(const TaskKey& key) {
    bool failed = true;
    try {
      failed = settle_result(journal_.result(key), key.index, loop_, worker_);
    } catch (const Error&) {
      loop_.failed(key.index, worker_, std::current_exception(), Clock::now(), 0);
      return;  // the file stays: the error is about that
    }
    if (failed) {
      journal_.remove_result(key);
      results_.erase(key.name());
    }
  }

  /// Asks Slurm for elements that have ended without a result.
  void ask(Clock::time_point now) {
    std::map<std::string, std::vector<JobState>> jobs;
    for (Submitted& element : elements_) {
      if (!element.is_open() || element.ended) continue;
      auto known = jobs.find(element.job);
      if (known == jobs.end()) {
        auto states = find_jobs(element.job);
        if (!states) break;  // Slurm does not answer now
        known = jobs.emplace(element.job, std::move(*states)).first;
      }
      const auto state = std::ranges::find(known->second, element.number, &JobState::element);
      if (state != known->second.end() && state->is_alive()) continue;
      element.ended = state != known->second.end() ? *state : JobState{};
      element.ended_since = now;
      next_look_ = now;
      look_interval_ = soonest_look;
    }
    question_interval_ = later_question(question_interval_);
    next_question_ = Clock::now() + question_interval_;
  }

  /// Whether the element has ended for good: its first task that is open has no result, and those
  /// behind it were not begun.
  bool end(Submitted& element, Clock::time_point now) {
    if (!element.ended || !element.is_open() || now < element.ended_since + visibility) {
      return false;
    }
    const std::set<TaskKey> open = std::exchange(element.open, {});
    element.left = 0;
    bool is_first = true;
    for (const TaskKey& key : element.tasks) {
      if (!open.contains(key)) continue;
      if (std::exchange(is_first, false)) {
        end_task(element, key);
      } else {
        loop_.give_back({key.index, key.index + 1});
      }
    }
    return true;
  }

  void end_task(const Submitted& element, const TaskKey& key) {
    const SlurmState state = element.ended->meaning();
    const bool is_lost = state == SlurmState::node_failed || state == SlurmState::preempted;
    if (is_lost && loop_.options().on_lost_host == OnLostHost::rerun &&
        ++lost_[key.index] < most_lost) {
      loop_.give_back({key.index, key.index + 1});
      return;
    }
    const JobState& job = *element.ended;
    std::string what = "task " + std::to_string(key.index) + ": its job " + job.job +
                       (job.node.empty() ? "" : " on " + job.node) + " ended without its result: " +
                       (job.state.empty() ? "Slurm has forgotten how" : job.state);
    if (!job.reason.empty() && job.reason != "None") what += " (" + job.reason + ")";
    const std::string tail = last_lines(journal_.output(element.job, element.number));
    if (!tail.empty()) what += "; the last it said:\n" + tail;
    loop_.failed(key.index, worker_, std::make_exception_ptr(SlurmJobEnded(what, state, job.job)),
                 Clock::now(), 0);
  }

  void cancel_element(Submitted& element) {
    const auto states = find_jobs(element.job);
    if (!states) return;
    const auto state = std::ranges::find(*states, element.number, &JobState::element);
    if (state != states->end()) cancel_job(state->job);
  }

  /// Forgets elements that nothing is awaited of, and the files of arrays that have no others.
  void tidy() {
    std::set<std::string> left;
    for (const Submitted& element : elements_) {
      if (element.left > 0) left.insert(element.job);
    }
    std::erase_if(elements_, [&](const Submitted& element) {
      if (left.contains(element.job)) return false;
      journal_.forget(element.job);
      return true;
    });
  }

  Loop& loop_;
  const SlurmOptions options_;
  const Journal journal_;
  const os::Fd lock_;
  LoopParts parts_;
  Worker worker_;
  std::vector<Submitted> elements_;
  std::set<std::string> results_;             // as of the last look
  std::string job_;                           // the name of the next array
  std::vector<std::vector<TaskKey>> chunks_;  // its elements
  std::map<std::size_t, unsigned> lost_;      // how often, by task
  Clock::time_point next_look_{};
  std::chrono::milliseconds look_interval_ = soonest_look;
  Clock::time_point next_question_{};
  std::chrono::milliseconds question_interval_ = soonest_question;
  Clock::time_point next_try_{};
  int tries_ = 0;
  bool stopped_ = false;
};

}  // namespace

std::unique_ptr<Session> open_array_session(Loop& loop, const SlurmOptions& options) {
  return std::make_unique<ArraySession>(loop, options);
}

}  // namespace hoist::detail::slurm
