// SPDX-License-Identifier: BSD-3-Clause
#include "workers/result_frames.hpp"

#include <hoist/backend.hpp>
#include <hoist/detail/envelope.hpp>
#include <hoist/error.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <limits>
#include <utility>

#include "memory/dependencies.hpp"
#include "workers/payload.hpp"
#include "workers/result_sender.hpp"

namespace hoist::detail::workers {

namespace {

constexpr std::size_t capacity = ipc::max_frame - sizeof(ipc::FrameHeader);

}  // namespace

void ResultFrames::start(bool timed) {
  timed_ = timed;
  began_ = timed ? ipc::Clock::now() : ipc::Clock::time_point();
}

bool ResultFrames::add(Encoder& result, std::size_t shared_from) {
  constexpr std::uint32_t none = 0;
  if (!send_dependencies()) return false;
  if (result.segments().empty() && add(std::as_bytes(std::span(&none, 1)), result.meta())) {
    return true;
  }
  // Its blocks go before it.
  close();
  bool there = true;
  ResultSender sender(shared_from, [&](std::span<const std::byte> content, int fd) {
    there = there && send(ipc::Kind::segment, content, fd);
    link_->ring();  // who sends more waits until these are taken
  });
  payload_.clear();
  write_payload(payload_, result.meta(), result.segments(), &sender);
  result.clear();
  if (!there || add(payload_.bytes(), {})) return there;
  if (payload_.size() > std::numeric_limits<std::uint32_t>::max()) {
    return add_error(pack_error(std::make_exception_ptr(
        LimitExceeded("the result takes 4 GiB or more in one message: let max_nbytes share large "
                      "arrays, or return several results"))));
  }
  ipc::FieldWriter frame;
  put_times(frame);
  frame.put(std::uint32_t{1});
  frame.put(std::uint32_t{0});
  frame.put(static_cast<std::uint32_t>(payload_.size()));
  frame.append(payload_.bytes().data(), payload_.size());
  return send(ipc::Kind::results, frame.bytes());
}

bool ResultFrames::add_error(std::span<const std::byte> packed) {
  close();
  if (!send_dependencies()) return false;
  ipc::FieldWriter frame;
  put_times(frame);
  frame.append(packed.data(), packed.size());
  const bool sent = send(ipc::Kind::error, frame.bytes());
  link_->ring();
  return sent;
}

bool ResultFrames::send_dependencies() {
  const memory::DependencyLog* const log = memory::recording().log;
  if (log == nullptr || !log->has_new()) return true;
  Encoder encoder;
  encode_dependencies(encoder);
  close();
  payload_.clear();
  write_payload(payload_, encoder.meta(), encoder.segments(), nullptr);
  return send(ipc::Kind::dependencies, payload_.bytes());
}

bool ResultFrames::send(ipc::Kind kind, std::span<const std::byte> content, int fd) {
  return link_->send(kind, content, fd, state_->worker_bell, [] { return false; });
}

/// Adds a payload: its parts `head` and `meta`, in a row. False where it is too long for any frame.
bool ResultFrames::add(std::span<const std::byte> head, std::span<const std::byte> meta) {
  const std::size_t payload = head.size() + meta.size();
  const std::size_t entry = sizeof(std::uint32_t) + payload;
  if (entry > capacity - sizeof(Head)) return false;
  if (bytes_ + entry > capacity) close();
  if (content_ == nullptr) {
    content_ = link_->reserve(capacity, state_->worker_bell, [] { return false; });
    // Should this process die before the frame is closed, its results have at least a beginning.
    const Head begun{began_.time_since_epoch().count(), 0, 0, 0};
    std::memcpy(content_, &begun, sizeof begun);
    bytes_ = sizeof(Head);
  }
  const auto size = static_cast<std::uint32_t>(payload);
  std::byte* to = content_ + bytes_;
  std::memcpy(to, &size, sizeof size);
  if (!head.empty()) std::memcpy(to + sizeof size, head.data(), head.size());
  if (!meta.empty()) std::memcpy(to + sizeof size + head.size(), meta.data(), meta.size());
  bytes_ += entry;
  state_->unsent.store(ipc::unsent_results(link_->sent(), ++count_), std::memory_order_release);
  return true;
}

/// How long the tasks since `began_` took. What comes next begins now.
ipc::Clock::duration ResultFrames::lap() {
  if (!timed_) return {};
  const ipc::Clock::time_point before = std::exchange(began_, ipc::Clock::now());
  return began_ - before;
}

/// The beginning of the content of a frame that is sent now: when its tasks began, and how long
/// they took.
void ResultFrames::put_times(ipc::FieldWriter& frame) {
  frame.put(ipc::Clock::rep{began_.time_since_epoch().count()});
  frame.put(ipc::Clock::rep{lap().count()});
}

void ResultFrames::close() {
  if (content_ == nullptr) return;
  // Field by field, and not read back: a load of what smaller stores wrote waits for all stores
  // before it, some of which wait for the parent's cache.
  const ipc::Clock::rep took = lap().count();
  std::memcpy(content_ + offsetof(Head, took), &took, sizeof took);
  std::memcpy(content_ + offsetof(Head, count), &count_, sizeof count_);
  link_->commit(ipc::Kind::results, bytes_);
  content_ = nullptr;
  bytes_ = 0;
  count_ = 0;
}

std::vector<std::byte> take_unsent(ipc::Link& link, ipc::ChannelState& state) {
  const std::uint64_t unsent = state.unsent.exchange(0);
  const auto count = static_cast<std::uint32_t>(unsent);
  if (count == 0 || unsent != ipc::unsent_results(link.received(), count)) return {};
  const std::span<const std::byte> there = link.behind_input();
  std::vector<std::byte> content(there.begin(), there.end());
  std::memcpy(content.data() + 2 * sizeof(std::int64_t), &count, sizeof count);
  return content;
}

}  // namespace hoist::detail::workers
