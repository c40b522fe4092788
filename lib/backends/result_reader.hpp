// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/backend.hpp>

#include <cstdint>

#include "workers/payload.hpp"

namespace hoist::detail::backends {

/// When the tasks of a frame of results, or the one of an error, began, and how long they took in all.
struct FrameTimes {
  explicit FrameTimes(ipc::FieldReader& frame)
      : began(ipc::Clock::duration(frame.get<std::int64_t>())), took(frame.get<std::int64_t>()) {}
  double seconds() const { return std::chrono::duration<double>(took).count(); }

  ipc::Clock::time_point began;
  ipc::Clock::duration took;
};

/// The results in a frame, of `count` tasks in a row, as ResultFrames wrote them.
class ResultReader final : public TaskResults {
 public:
  ResultReader(ipc::FieldReader frame, workers::SegmentTable& segments)
      : times(frame),
        count(frame.get<std::uint32_t>()),
        frame_(frame),
        source_(segments, true),
        decoder_(source_) {
    frame_.get<std::uint32_t>();
  }

  /// Reports all to the loop. `pop(most)` yields the next tasks that the worker has been given, at most
  /// so many in a row.
  template <class Pop>
  void report(Loop& loop, Worker& worker, const Pop& pop) {
    for (std::size_t left = count; left > 0;) {
      const TaskRange tasks = pop(left);
      left -= tasks.size();
      const double part = static_cast<double>(tasks.size()) / static_cast<double>(count);
      loop.arrived(tasks, worker, *this, times.began, part * times.seconds());
    }
  }

  Decoder& next() override {
    source_.start(frame_.take(frame_.get<std::uint32_t>()));
    decoder_.restart();
    return decoder_;
  }

  const FrameTimes times;
  const std::size_t count;

 private:
  ipc::FieldReader frame_;
  workers::PayloadSource source_;
  Decoder decoder_;
};

}  // namespace hoist::detail::backends
