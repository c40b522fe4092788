// SPDX-License-Identifier: BSD-3-Clause
#include "workers/worker_state.hpp"

#include <hoist/detail/encoder.hpp>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "workers/payload.hpp"

namespace hoist {

namespace detail {

namespace {

thread_local WorkerState* state_of_thread = nullptr;

}  // namespace

WorkerState& worker_state_here() {
  static auto* const state = new WorkerState;
  return state_of_thread != nullptr ? *state_of_thread : *state;
}

namespace workers {

namespace {

/// Numbers the memory that handles lead to. All else is inline: workers get copies.
class HandleSender final : public SegmentSender {
 public:
  explicit HandleSender(std::vector<std::shared_ptr<Storage>>& memory) : memory_(memory) {}

  SegmentPlace place(const Segment& segment) override {
    if (segment.owner == nullptr || segment.owner->passing() != Storage::Passing::written)
      return {};
    const auto backing = segment.owner->backing();
    if (backing.fd < 0 || memory_.size() == max_segments) throw_writes_lost();
    memory_.push_back(segment.owner);
    return {static_cast<std::uint32_t>(memory_.size()),
            backing.offset + static_cast<std::uint64_t>(segment.data - segment.owner->data())};
  }

 private:
  std::vector<std::shared_ptr<Storage>>& memory_;
};

}  // namespace

WorkerState* OwnState::get(const WorkerInitializer& initializer) {
  if (!initializer) return nullptr;
  if (!made_) {
    SegmentTable segments;
    std::uint32_t number = 0;
    for (const auto& memory : initializer.memory()) segments.add(++number, memory);
    PayloadSource source(initializer.value(), segments, false);
    Decoder decoder(source);
    initializer.run()(decoder, state_);
    made_ = true;
  }
  return &state_;
}

std::vector<std::shared_ptr<Storage>> write_arguments(ipc::FieldWriter& to,
                                                      const Encoded& encoded) {
  std::vector<std::shared_ptr<Storage>> memory;
  HandleSender handles(memory);
  write_payload(to, encoded.meta, encoded.segments, &handles);
  return memory;
}

WorkerStateScope::WorkerStateScope(WorkerState* state) noexcept
    : before_(std::exchange(state_of_thread, state)) {}

WorkerStateScope::~WorkerStateScope() { state_of_thread = before_; }

}  // namespace workers

void throw_no_worker_state(const std::type_info& wanted, const std::type_info* found) {
  throw BadArgument(
      "worker_state: there is no " + readable_type(wanted) + " here: " +
      (found == nullptr
           ? std::string("the loop has no WorkerOptions::initializer, or this is no task of it")
           : "the initializer returned " + readable_type(*found)));
}

}  // namespace detail

void WorkerInitializer::keep(const detail::Encoded& encoded, detail::Initialize initialize) {
  detail::ipc::FieldWriter payload;
  memory_ = detail::workers::write_arguments(payload, encoded);
  value_.assign(payload.bytes().begin(), payload.bytes().end());
  run_ = initialize;
}

}  // namespace hoist
