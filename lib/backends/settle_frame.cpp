// SPDX-License-Identifier: BSD-3-Clause
#include "backends/settle_frame.hpp"

#include <hoist/detail/envelope.hpp>

#include <cstdint>

namespace hoist::detail::backends {

namespace {

/// When the tasks of a frame began, and how long they took in all.
struct FrameTimes {
  explicit FrameTimes(ipc::FieldReader& frame)
      : began(Clock::duration(frame.get<std::int64_t>())), took(frame.get<std::int64_t>()) {}

  Clock::time_point began;
  Clock::duration took;
};

/// The results in a frame, as ResultFrames wrote them.
class FrameResults final : public TaskResults {
 public:
  FrameResults(ipc::FieldReader payloads, workers::SegmentTable& segments)
      : payloads_(payloads), source_(segments, true), decoder_(source_) {}

  Decoder& next() override {
    source_.start(payloads_.take(payloads_.get<std::uint32_t>()));
    decoder_.restart();
    return decoder_;
  }

 private:
  ipc::FieldReader payloads_;
  workers::PayloadSource source_;
  Decoder decoder_;
};

}  // namespace

std::optional<std::size_t> settle_frame(InFlight& tasks, ipc::Kind kind,
                                        std::span<const std::byte> content,
                                        workers::SegmentTable& segments, std::size_t known) {
  if (kind == ipc::Kind::dependencies) {
    workers::PayloadSource source(content, segments, true);
    Decoder decoder(source);
    tasks.take_dependencies(decoder);
    return 0;
  }
  if (kind != ipc::Kind::results && kind != ipc::Kind::error) return std::nullopt;
  ipc::FieldReader frame(content);
  const FrameTimes times(frame);
  std::size_t count = 1;
  if (kind == ipc::Kind::results) {
    count = frame.get<std::uint32_t>();
    frame.get<std::uint32_t>();
    if (count < known) Decoder::throw_damaged();
    for (std::size_t i = 0; i < known; ++i) frame.take(frame.get<std::uint32_t>());
    FrameResults results(frame, segments);
    count -= known;
    if (count > 0 || known == 0) tasks.take_results(count, results, times.began, times.took);
  } else {
    tasks.take_error(unpack_error(frame.left()), times.began, times.took);
  }
  segments.clear();  // who wants to keep a mapping has it
  return count;
}

}  // namespace hoist::detail::backends
