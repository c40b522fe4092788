// SPDX-License-Identifier: BSD-3-Clause
#include "workers/worker_state.hpp"

#include <hoist/detail/encoder.hpp>

#include <string>
#include <utility>

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

WorkerState* OwnState::get(const WorkerInitializer& initializer) {
  if (!initializer) return nullptr;
  if (!made_) {
    SegmentTable segments;
    PayloadSource source(initializer.value(), segments, false);
    Decoder decoder(source);
    initializer.run()(decoder, state_);
    made_ = true;
  }
  return &state_;
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
  for (const detail::Segment& segment : encoded.segments) {
    if (segment.owner != nullptr && segment.owner->passing() == detail::Storage::Passing::written) {
      throw CannotTravel(
          "an initializer gets copies of its arguments, so it can't be given locks, shared values "
          "or "
          "arrays that are shared or mapped read_write: pass these to the tasks");
    }
  }
  detail::ipc::FieldWriter payload;
  detail::workers::write_payload(payload, encoded.meta, encoded.segments, nullptr);
  value_.assign(payload.bytes().begin(), payload.bytes().end());
  run_ = initialize;
}

}  // namespace hoist
