// SPDX-License-Identifier: BSD-3-Clause
#include "slurm/chunk.hpp"

#include <hoist/detail/code_address.hpp>
#include <hoist/detail/task.hpp>
#include <hoist/error.hpp>
#include <hoist/parallel_options.hpp>

#include <chrono>
#include <string>
#include <system_error>

#include "backends/builtin.hpp"
#include "backends/task_frames.hpp"
#include "base/digest_stream.hpp"
#include "ipc/shared_bytes.hpp"
#include "os/atomic_file.hpp"
#include "os/inner_threads.hpp"
#include "remote/start.hpp"

namespace hoist::detail::slurm {

namespace {

/// Below this a digest is not worth remembering.
constexpr std::size_t large_array = std::size_t{1} << 20;

/// Code that means the same in each run of the program.
void put_code(base::DigestStream& to, const void* address) {
  const CodeAddress where = code_address_of(address);
  to.put(module_name(where.module).build_id);
  to.put64(where.offset);
}

}  // namespace

LoopParts::LoopParts(Loop& its_loop, const Journal& its_journal)
    : loop(its_loop),
      journal(its_journal),
      segments(backends::shared_from(loop.options()), loop.options().temp_folder,
               loop.options().mmap_mode >= MmapMode::read_write) {}

Digest LoopParts::put_blob(const workers::SharedBytes& bytes) {
  if (const auto known = blobs_.find(bytes.identity); known != blobs_.end()) return known->second;
  const auto mapped = ipc::map_segment(bytes.fd, bytes.offset, bytes.bytes, os::MapAs::read_only);
  const std::span<const std::byte> content(mapped->data(), mapped->bytes());
  const Digest digest = base::digest_of(content);
  std::error_code ignored;
  if (!std::filesystem::exists(journal.blob(digest), ignored)) {
    os::AtomicFile file(journal.blob(digest));
    file.write(content);
    file.commit(true);
  }
  blobs_[bytes.identity] = digest;
  return digest;
}

Digest LoopParts::digest_of(const Encoder& encoded) {
  base::DigestStream stream;
  for (const Segment& segment : encoded.segments()) {
    const std::span<const std::byte> bytes(segment.data, segment.bytes);
    if (segment.owner == nullptr || segment.bytes < large_array) {
      stream.put(base::digest_of(bytes));
      continue;
    }
    Known& known = arrays_[{segment.data, segment.bytes}];
    if (known.owner.lock() != segment.owner) {
      known = {.owner = segment.owner, .digest = base::digest_of(bytes)};
    }
    stream.put(known.digest);
  }
  stream.put(encoded.meta());
  return stream.digest();
}

ChunkWriter::ChunkWriter(LoopParts& parts) : parts_(parts) {
  const ParallelOptions& options = parts.loop.options();
  WorkerOptions of_workers = options.workers;
  unsigned threads = options.inner_max_num_threads;
  if (threads != 0) {
    for (const char* name : os::thread_variables) {
      of_workers.env.emplace(name, std::to_string(threads));
    }
  }
  ipc::FieldWriter frame;
  frame.put(options.task_timeout.is_set() ? options.task_timeout.seconds() : 0.0);
  remote::put_start(frame, of_workers, threads);
  ChunkWriter::send(kind::start, frame.bytes());
  send_initializer(of_workers.initializer);
  frame.clear();
  backends::put_context(frame, parts.loop, encoder_);
  ChunkWriter::send(ipc::Kind::context, frame.bytes());
  frame.clear();
  backends::put_place(frame, parts.place);
  ChunkWriter::send(ipc::Kind::place, frame.bytes());
}

TaskKey ChunkWriter::encode(std::size_t task) {
  LoopTasks& tasks = parts_.loop.tasks();
  code_ = tasks.portable(task);
  base::DigestStream stream;
  put_code(stream, reinterpret_cast<const void*>(code_.run));
  if (code_.open != nullptr) {
    auto known = parts_.callables.find(code_.open);
    if (known == parts_.callables.end()) {
      encoder_.clear();
      tasks.encode_callable(encoder_);
      known = parts_.callables.emplace(code_.open, parts_.digest_of(encoder_)).first;
    }
    put_code(stream, reinterpret_cast<const void*>(code_.open));
    stream.put(known->second);
  }
  encoder_.clear();
  tasks.encode_task(task, encoder_);
  stream.put(parts_.digest_of(encoder_));
  return {.index = task, .digest = stream.digest()};
}

void ChunkWriter::append(const TaskKey& key, unsigned attempt) {
  workers::WorkerSegments sender(parts_.segments, *this);
  std::uint32_t callable = 0;
  if (code_.open != nullptr) {
    if (const auto known = callables_.find(code_.open); known != callables_.end()) {
      callable = known->second;
    } else {
      callable = next_callable++;
      Encoder encoder;
      parts_.loop.tasks().encode_callable(encoder);
      ipc::FieldWriter frame;
      frame.put(callable);
      frame.put(function_number(reinterpret_cast<const void*>(code_.open)));
      workers::write_payload(frame, encoder.meta(), encoder.segments(), &sender);
      announce_modules();
      send(ipc::Kind::callable, frame.bytes());
      callables_.emplace(code_.open, callable);
    }
  }
  ipc::FieldWriter frame;
  frame.put(backends::TasksHead{
      .count = 1,
      .share_results_from = backends::shared_from(parts_.loop.options()),
      .run = function_number(reinterpret_cast<const void*>(code_.run)),
      .callable = callable,
      .first = key.index,
      .attempt = attempt,
  });
  backends::append_task(frame, key.index, encoder_, sender);
  announce_modules();
  ipc::FieldWriter name;
  name.put(static_cast<std::uint64_t>(key.index));
  name.put(key.digest);
  send(kind::task, name.bytes());
  send(ipc::Kind::tasks, frame.bytes());
  keys_.push_back(key);
}

void ChunkWriter::write(const std::filesystem::path& path) {
  FrameFileWriter file(path, FileType::chunk);
  for (const Frame& frame : frames_) file.put(frame.kind, frame.content);
  file.commit();
}

bool ChunkWriter::send(ipc::Kind kind, std::span<const std::byte> content) {
  frames_.push_back({kind, {content.begin(), content.end()}});
  return true;
}

std::uint64_t ChunkWriter::share(std::uint32_t number, const workers::SharedBytes& bytes) {
  if (bytes.written) {
    throw CannotTravel(
        "locks, queues, shared values and arrays mapped read_write are in the memory of this "
        "machine, and elements of job arrays run on others: pass a copy, or use the backend "
        "\"spawn\"");
  }
  ipc::FieldWriter frame;
  frame.put(number);
  frame.put(std::uint32_t{0});
  frame.put(bytes.bytes);
  frame.put(parts_.put_blob(bytes));
  send(ipc::Kind::segment, frame.bytes());
  return bytes.offset;
}

}  // namespace hoist::detail::slurm
