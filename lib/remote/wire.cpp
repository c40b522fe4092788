// SPDX-License-Identifier: BSD-3-Clause
#include "remote/wire.hpp"

#include <hoist/error.hpp>

#include <algorithm>
#include <cstring>
#include <utility>

#include "os/mapping.hpp"
#include "os/memory_file.hpp"

namespace hoist::detail::remote {

namespace {

/// What a transport has at a time: enough to go on while the next is made.
constexpr std::size_t most_unsent = 2 * max_message;
/// No frame is longer; what is said of its length is believed only as far as bytes arrive.
constexpr std::uint64_t longest_frame = std::uint64_t{1} << 40;

constexpr std::size_t piece_head = sizeof(FrameHead) + sizeof(Digest) + 2 * sizeof(std::uint64_t);

void append(std::vector<std::byte>& to, const void* data, std::size_t bytes) {
  const auto* const from = static_cast<const std::byte*>(data);
  to.insert(to.end(), from, from + bytes);
}

}  // namespace

std::size_t append_frame(std::vector<std::byte>& frames, ipc::Kind kind, std::uint32_t worker,
                         std::span<const std::byte> content) {
  const FrameHead head{content.size(), kind, worker};
  append(frames, &head, sizeof head);
  append(frames, content.data(), content.size());
  return frames.size() - content.size();
}

std::vector<std::byte>& Outbox::room_for(std::size_t bytes) {
  if (parts_.empty() || parts_.back().blob != nullptr || parts_.back().at != 0 ||
      parts_.back().frames.size() + bytes > full_message) {
    parts_.emplace_back().frames.reserve(std::max(bytes, full_message / 8));
  }
  waiting_ += bytes;
  return parts_.back().frames;
}

void Outbox::put(ipc::Kind kind, std::uint32_t worker, std::span<const std::byte> content) {
  append_frame(room_for(sizeof(FrameHead) + content.size()), kind, worker, content);
}

void Outbox::put_frames(std::span<const std::byte> frames) {
  if (!frames.empty()) append(room_for(frames.size()), frames.data(), frames.size());
}

void Outbox::put_blob(const Digest& name, std::shared_ptr<const Storage> bytes) {
  Part& part = parts_.emplace_back();
  part.blob = std::move(bytes);
  part.name = name;
}

bool Outbox::pump() {
  bool any = false;
  while (!parts_.empty() && transport_.unsent(peer_) < most_unsent) {
    Part& part = parts_.front();
    if (part.blob != nullptr ? pump_blob(part) : pump_frames(part)) parts_.pop_front();
    any = true;
  }
  return any;
}

/// Returns whether all of it is sent.
bool Outbox::pump_frames(Part& part) {
  std::vector<std::byte>& frames = part.frames;
  if (part.at == 0 && frames.size() <= max_message) {
    waiting_ -= frames.size();
    transport_.send(peer_, std::move(frames));
    return true;
  }
  const auto begin = frames.begin() + static_cast<std::ptrdiff_t>(part.at);
  const std::size_t bytes = std::min(max_message, frames.size() - part.at);
  transport_.send(peer_, {begin, begin + static_cast<std::ptrdiff_t>(bytes)});
  part.at += bytes;
  waiting_ -= bytes;
  return part.at == frames.size();
}

bool Outbox::pump_blob(Part& part) {
  const std::uint64_t all = part.blob->bytes();
  const std::uint64_t at = part.at;
  const std::size_t bytes = std::min(max_message - piece_head, part.blob->bytes() - part.at);
  const FrameHead head{piece_head - sizeof(FrameHead) + bytes, kind::piece, 0};
  std::vector<std::byte> message;
  message.reserve(piece_head + bytes);
  append(message, &head, sizeof head);
  append(message, &part.name, sizeof part.name);
  append(message, &all, sizeof all);
  append(message, &at, sizeof at);
  append(message, part.blob->data() + at, bytes);
  transport_.send(peer_, std::move(message));
  part.at += bytes;
  return part.at == all;
}

void Inbox::add(std::span<const std::byte> message, const Handler& handle) {
  // What completes a frame is appended to it; all others are handled where they are.
  while (!message.empty()) {
    FrameHead head;
    if (begun_.size() < sizeof head && begun_.size() + message.size() < sizeof head) {
      append(begun_, message.data(), message.size());
      return;
    }
    if (!begun_.empty() && begun_.size() < sizeof head) {
      const std::size_t missing = sizeof head - begun_.size();
      append(begun_, message.data(), missing);
      message = message.subspan(missing);
    }
    std::memcpy(&head, begun_.empty() ? message.data() : begun_.data(), sizeof head);
    if (head.bytes > longest_frame) throw DamagedData("a frame of another machine has no end");
    const std::size_t wanted = sizeof head + static_cast<std::size_t>(head.bytes) - begun_.size();
    const std::size_t here = std::min(wanted, message.size());
    std::span<const std::byte> frame = message.first(here);
    message = message.subspan(here);
    if (!begun_.empty() || here < wanted) {
      append(begun_, frame.data(), frame.size());
      if (here < wanted) return;
      frame = begun_;
    }
    handle(head.kind, head.worker, frame.subspan(sizeof head));
    begun_.clear();
  }
}

void BlobStore::add(std::span<const std::byte> piece) {
  ipc::FieldReader fields(piece);
  const auto name = fields.get<Digest>();
  const auto all = fields.get<std::uint64_t>();
  const auto at = fields.get<std::uint64_t>();
  const auto bytes = fields.left();
  Blob& blob = blobs_[name];
  if (at == 0 && !blob.fd) {
    blob.bytes = all;
    blob.fd = os::memory_file("hoist-array", all);
  }
  if (at != blob.arrived || all != blob.bytes || bytes.size() > all - at) {
    throw DamagedData("the pieces of an array from another machine don't fit");
  }
  os::write_at(blob.fd.get(), bytes, at, "hoist-array");
  blob.arrived += bytes.size();
}

const BlobStore::Blob& BlobStore::find(const Digest& name) const {
  const auto found = blobs_.find(name);
  if (found == blobs_.end() || found->second.arrived != found->second.bytes) {
    throw DamagedData("an array from another machine is not complete");
  }
  return found->second;
}

BlobStore::Blob BlobStore::take(const Digest& name) {
  find(name);
  return std::move(blobs_.extract(name).mapped());
}

}  // namespace hoist::detail::remote
