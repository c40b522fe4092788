// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/sync.hpp>

#include <hoist/detail/watch.hpp>

#include <new>

#include "multiprocess/robust_mutex.hpp"
#include "multiprocess/shared_store.hpp"

namespace hoist {

namespace {

using namespace detail::multiprocess;

struct EventState {
  /// How often it was set, above a bit for whether it is.
  std::atomic<std::uint64_t> word{0};
  detail::os::Bell bell;
};

auto set_since_now(const EventState& state) {
  return [&state, before = state.word.load()] {
    const std::uint64_t now = state.word.load();
    return (now & 1) != 0 || now >> 1 != before >> 1;
  };
}

EventState& state_of(const Event& event) { return event.block().as<EventState>(); }

}  // namespace

Event::Event() : SharedHandle(detail::SharedBlock::make("hoist-event", sizeof(EventState))) {
  new (block().data()) EventState;
}

void Event::set() const {
  EventState& state = state_of(*this);
  std::uint64_t before = state.word.load();
  about_to_store();
  while ((before & 1) == 0 && !state.word.compare_exchange_weak(before, (before + 2) | 1)) {
  }
  about_to_store();
  state.bell.ring();
}

void Event::clear() const {
  about_to_store();
  state_of(*this).word.fetch_and(~std::uint64_t{1});
}

bool Event::is_set() const { return (state_of(*this).word.load() & 1) != 0; }

bool Event::wait_until(std::chrono::steady_clock::time_point deadline) const {
  EventState& state = state_of(*this);
  return wait_and_look(state.bell, deadline, set_since_now(state), [] {});
}

detail::Change detail::when_set(const Event& event) {
  EventState& state = state_of(event);
  return {event.block(), &state.bell, set_since_now(state)};
}

}  // namespace hoist
