// SPDX-License-Identifier: BSD-3-Clause
#include "slurm/element.hpp"

#include <hoist/detail/envelope.hpp>
#include <hoist/error.hpp>

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "backends/worker_end.hpp"
#include "base/digest_stream.hpp"
#include "base/quoted.hpp"
#include "ipc/shared_bytes.hpp"
#include "os/log.hpp"
#include "os/machine_name.hpp"
#include "os/termination.hpp"
#include "remote/start.hpp"
#include "remote/wire.hpp"
#include "slurm/chunk.hpp"
#include "slurm/frame_file.hpp"
#include "slurm/job_cores.hpp"
#include "workers/local_worker.hpp"
#include "workers/output_writer.hpp"
#include "workers/supervisor.hpp"

namespace hoist::detail::slurm {

namespace {

using ipc::Clock;

constexpr std::size_t bell_of_element = 0;
/// Slurm sends SIGTERM to all processes of a job, in any order.
constexpr auto termination_patience = std::chrono::seconds(1);
/// As much of a large part of a result as is written in one frame.
constexpr std::size_t piece_bytes = std::size_t{4} << 20;

/// When Slurm ends the job: what tasks have printed is written, so that its tail tells something.
void end_at_termination() {
  os::at_termination([] {
    workers::OutputWriter::flush_all(Clock::now() + termination_patience);
    ::_exit(128 + SIGTERM);
  });
}

/// The tasks of a chunk, one after the other.
class Element {
 public:
  explicit Element(const std::filesystem::path& chunk)
      : journal_(chunk.parent_path().parent_path()) {
    FrameFileReader file(chunk, FileType::chunk);
    while (file.next()) {
      frames_.push_back({file.kind(), {file.content().begin(), file.content().end()}});
    }
  }

  void run() {
    // Loops inside tasks are told where Slurm does not bind the job to its cores.
    ::setenv("HOIST_N_JOBS", std::to_string(cores_).c_str(), 0);
    const auto done = journal_.results();
    std::optional<TaskKey> key;
    for (std::size_t i = 0; i < frames_.size(); ++i) {
      const Frame& frame = frames_[i];
      ipc::FieldReader fields(frame.content);
      if (frame.kind == kind::start) {
        limit_ = fields.get<double>();
        start_ = remote::read_start(fields);
      } else if (frame.kind == kind::task) {
        key.emplace();
        key->index = static_cast<std::size_t>(fields.get<std::uint64_t>());
        key->digest = fields.get<Digest>();
      } else if (frame.kind == ipc::Kind::tasks && key && !done.contains(key->name())) {
        run_task(*key, i);
      }
    }
    if (worker_ != nullptr) worker_->ask_to_leave();
  }

 private:
  /// What comes back of a task.
  struct Answer {
    std::vector<workers::SegmentTable::Taken> parts;
    std::vector<Frame> frames;
    Clock::duration took{};
    bool is_complete = false;
    bool is_last = false;  ///< its worker leaves
  };

  /// Brings the worker, a new one if need be, to where frame `at` comes next.
  void catch_up(std::size_t at) {
    if (worker_ == nullptr) {
      worker_ = workers::LocalWorker::start(start_.options,
                                            start_.threads != 0 ? start_.threads : cores_);
      worker_->use_bell(bell_of_element);
      told_ = 0;
    }
    for (; told_ < at; ++told_) {
      const Frame& frame = frames_[told_];
      if (frame.kind == ipc::Kind::tasks || frame.kind == kind::start || frame.kind == kind::task) {
        continue;
      }
      tell(frame);
    }
  }

  void tell(const Frame& frame) {
    if (frame.kind == ipc::Kind::place) {
      worker_->send(frame.kind, remote::place_here(frame.content));
    } else if (frame.kind == ipc::Kind::segment) {
      share(frame.content);
    } else {
      worker_->send(frame.kind, frame.content);
    }
    worker_->ring();
  }

  /// A blob is mapped as it is: the workers of a node have it in memory once.
  void share(std::span<const std::byte> content) {
    ipc::FieldReader fields(content);
    const auto number = fields.get<std::uint32_t>();
    fields.get<std::uint32_t>();
    const auto bytes = fields.get<std::uint64_t>();
    const auto digest = fields.get<Digest>();
    const auto path = journal_.blob(digest);
    const os::Fd file = os::open_for_reading(path);
    if (!checked_.contains(digest)) {
      const bool is_whole = os::regular_size(file.get()).value_or(0) == bytes;
      const auto mapped =
          is_whole ? ipc::map_segment(file.get(), 0, bytes, os::MapAs::read_only) : nullptr;
      if (!is_whole || base::digest_of({mapped->data(), mapped->bytes()}) != digest) {
        throw DamagedData(base::quoted(path) +
                          " is damaged: remove it, and start the program again");
      }
      checked_.insert(digest);
    }
    worker_->share(number, {.fd = file.get(), .bytes = bytes});
  }

  void run_task(const TaskKey& key, std::size_t at) {
    catch_up(at);
    const auto since = Clock::now();
    auto deadline = Clock::time_point::max();
    if (limit_ > 0) {
      deadline = since +
                 std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(limit_));
    }
    worker_->send(ipc::Kind::tasks, frames_[at].content);
    worker_->ring();
    ++told_;
    Answer answer;
    const auto has_news = [&] { return worker_->has_input() || worker_->dead(); };
    while (!answer.is_complete) {
      ipc::BellBoard::here().bell(bell_of_element).wait(deadline, has_news, false);
      const bool dead = worker_->dead();
      receive(answer);
      if (!answer.is_complete && dead) {
        worker_->receive_unsent([&](ipc::Kind kind, std::span<const std::byte> content) {
          take(answer, kind, content);
        });
      }
      if (answer.is_complete) break;
      if (dead) {
        put_error(answer, death(key.index));
      } else if (Clock::now() >= deadline) {
        worker_->kill();
        answer.is_last = true;  // its end may be noticed later
        put_error(answer, backends::killed_for_task(worker_->pid(), key.index, TimeLimit(limit_)));
      }
    }
    answer.took = Clock::now() - since;
    // What it has printed is in the element's output before its result is there.
    worker_->take_output(Clock::now() + termination_patience);
    workers::OutputWriter::flush_all(Clock::now() + termination_patience);
    write(answer, journal_.result(key));
    receive(answer);  // that it leaves
    if (answer.is_last || worker_->dead()) worker_.reset();
  }

  void receive(Answer& answer) {
    while (worker_->has_input()) {
      worker_->receive(
          [&](ipc::Kind kind, std::span<const std::byte> content) { take(answer, kind, content); },
          1);
    }
  }

  void take(Answer& answer, ipc::Kind kind, std::span<const std::byte> content) {
    if (kind == ipc::Kind::initialized) return;
    if (kind == ipc::Kind::left) {
      answer.is_last = true;
      // What its initializer threw is the error of the task that it was started for.
      if (!content.empty() && !answer.is_complete) put_error(answer, unpack_error(content));
      return;
    }
    for (auto& part : worker_->segments().take_all()) answer.parts.push_back(std::move(part));
    if (kind == ipc::Kind::results || kind == ipc::Kind::error) answer.is_complete = true;
    answer.frames.push_back({kind, {content.begin(), content.end()}});
  }

  static void put_error(Answer& answer, const std::exception_ptr& error) {
    const auto packed = pack_error(error);
    ipc::FieldWriter frame;
    frame.put(std::int64_t{0});
    frame.put(std::int64_t{0});
    frame.append(packed.data(), packed.size());
    answer.frames.push_back({ipc::Kind::error, {frame.bytes().begin(), frame.bytes().end()}});
    answer.is_complete = true;
  }

  std::exception_ptr death(std::size_t task) {
    workers::WorkerEnd end = worker_->end();
    // The job is being ended: Slurm tells why, and this process ends likewise.
    if (end.how.signal == SIGTERM) std::this_thread::sleep_for(2 * termination_patience);
    end.machine = os::machine_name();
    return backends::worker_died(worker_->pid(), end, "while it ran task " + std::to_string(task));
  }

  /// Only now, and not while the task ran: a temporary file is nothing to keep for days.
  static void write(const Answer& answer, const std::filesystem::path& path) {
    FrameFileWriter file(path, FileType::result);
    for (const auto& part : answer.parts) put_part(file, part);
    for (const Frame& frame : answer.frames) file.put(frame.kind, frame.content);
    ipc::FieldWriter took;
    took.put(std::int64_t{answer.took.count()});
    file.put(kind::took, took.bytes());
    file.commit();
  }

  static void put_part(FrameFileWriter& file, const workers::SegmentTable::Taken& part) {
    const Digest name{.low = part.number, .high = 0};
    if (!part.written) {
      const auto bytes = ipc::map_segment(part.fd.get(), 0, part.bytes, os::MapAs::read_only);
      for (std::uint64_t at = 0; at < part.bytes; at += piece_bytes) {
        ipc::FieldWriter piece;
        piece.put(name);
        piece.put(part.bytes);
        piece.put(at);
        piece.append(bytes->data() + at, std::min<std::uint64_t>(piece_bytes, part.bytes - at));
        file.put(remote::kind::piece, piece.bytes());
      }
    }
    ipc::FieldWriter frame;
    frame.put(part.number);
    frame.put(static_cast<std::uint32_t>(part.written));
    frame.put(part.bytes);
    frame.put(name);
    file.put(ipc::Kind::segment, frame.bytes());
  }

  const Journal journal_;
  const unsigned cores_ = cores_of_job();
  std::vector<Frame> frames_;
  double limit_ = 0;  // seconds for a task; 0: none
  remote::Start start_;
  std::shared_ptr<workers::LocalWorker> worker_;
  std::size_t told_ = 0;  // frames that the worker has got
  std::set<Digest> checked_;
};

}  // namespace

int run_element(const std::filesystem::path& chunk) {
  try {
    end_at_termination();
    Element(chunk).run();
    workers::Supervisor::here().end_all();
    return 0;
  } catch (const std::exception& error) {
    os::log(LogLevel::error, "slurm", std::string("array element: ") + error.what());
    workers::OutputWriter::flush_all(Clock::now() + termination_patience);
    return 1;
  }
}

}  // namespace hoist::detail::slurm
