// SPDX-License-Identifier: BSD-3-Clause
#include "slurm/result_file.hpp"

#include <hoist/error.hpp>

#include <cstdint>
#include <cstring>
#include <optional>
#include <utility>
#include <vector>

#include "backends/in_flight.hpp"
#include "backends/settle_frame.hpp"
#include "base/quoted.hpp"
#include "remote/wire.hpp"
#include "slurm/chunk.hpp"
#include "slurm/frame_file.hpp"

namespace hoist::detail::slurm {

namespace {

/// All of a result file, which is checked before anything is done with it.
struct Result {
  std::vector<Frame> frames;
  workers::SegmentTable parts;
  std::int64_t took = 0;
  bool is_error = false;
};

void read(FrameFileReader& file, Result& result) {
  remote::BlobStore blobs;
  int answers = 0;
  while (file.next()) {
    ipc::FieldReader fields(file.content());
    if (file.kind() == remote::kind::piece) {
      blobs.add(file.content());
    } else if (file.kind() == kind::took) {
      result.took = fields.get<std::int64_t>();
    } else if (file.kind() == ipc::Kind::segment) {
      const auto number = fields.get<std::uint32_t>();
      if (fields.get<std::uint32_t>() != 0) {
        result.parts.refuse(number);
        continue;
      }
      fields.get<std::uint64_t>();
      auto blob = blobs.take(fields.get<Digest>());
      result.parts.add(number, std::move(blob.fd), blob.bytes, false);
    } else {
      const bool is_error = file.kind() == ipc::Kind::error;
      answers += is_error || file.kind() == ipc::Kind::results ? 1 : 0;
      result.is_error = result.is_error || is_error;
      result.frames.push_back({file.kind(), {file.content().begin(), file.content().end()}});
    }
  }
  if (answers != 1) Decoder::throw_damaged();
}

/// The clocks of machines differ, and the task may have run long ago: it counts as just done.
void set_began(std::vector<std::byte>& content, std::int64_t took) {
  if (content.size() < 2 * sizeof took) Decoder::throw_damaged();
  const std::int64_t began = Clock::now().time_since_epoch().count() - took;
  std::memcpy(content.data(), &began, sizeof began);
  std::memcpy(content.data() + sizeof began, &took, sizeof took);
}

}  // namespace

bool settle_result(const std::filesystem::path& path, std::size_t task, Loop& loop,
                   Worker& worker) {
  FrameFileReader file(path, FileType::result);
  Result result;
  try {
    read(file, result);
  } catch (const DamagedData& error) {
    const std::string what = error.what();
    if (what.find(path.string()) != std::string::npos) throw;
    throw DamagedData(base::quoted(path) + " is damaged (" + what +
                      "): remove it, and the task is run again");
  }
  backends::InFlight one(loop, worker);
  one.add({task, task + 1});
  for (Frame& frame : result.frames) {
    if (frame.kind == ipc::Kind::results || frame.kind == ipc::Kind::error) {
      set_began(frame.content, result.took);
    }
    backends::settle_frame(one, frame.kind, frame.content, result.parts);
  }
  return result.is_error;
}

}  // namespace hoist::detail::slurm
