// SPDX-License-Identifier: BSD-3-Clause
#include "workers/result_frames.hpp"

#include <cstring>

namespace hoist::detail {

namespace {

constexpr std::size_t capacity = max_frame - sizeof(FrameHeader);

}  // namespace

void ResultFrames::start(bool timed) {
  timed_ = timed;
  began_ = timed ? Clock::now() : Clock::time_point();
}

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
  state_->unsent.store(unsent_results(link_->sent(), ++count_), std::memory_order_release);
  return true;
}

ResultFrames::Head ResultFrames::lap() {
  Head head;
  head.began = began_.time_since_epoch().count();
  if (timed_) {
    const Clock::time_point now = Clock::now();
    head.took = (now - began_).count();
    began_ = now;
  }
  return head;
}

void ResultFrames::put_times(FieldWriter& frame) {
  const Head head = lap();
  frame.put(head.began);
  frame.put(head.took);
}

void ResultFrames::close() {
  if (content_ == nullptr) return;
  Head head = lap();
  head.count = count_;
  std::memcpy(content_, &head, sizeof head);
  link_->commit(Kind::results, bytes_);
  content_ = nullptr;
  bytes_ = 0;
  count_ = 0;
}

}  // namespace hoist::detail
