// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/barrier.hpp>

#include <algorithm>
#include <array>
#include <mutex>
#include <new>
#include <set>

#include "multiprocess/process_table.hpp"
#include "multiprocess/robust_mutex.hpp"
#include "multiprocess/shared_store.hpp"
#include "os/fork_hook.hpp"
#include "os/process_end.hpp"

namespace hoist {

namespace detail::multiprocess {

namespace {

/// A process that has waited here and still has a handle. How many of its threads wait is stored
/// together with the round they wait in, so that the end of a round ends all waits by one store.
struct Seat {
  std::atomic<os::ProcessId> process{0};
  std::atomic<std::uint64_t> waiting{0};  ///< round << 16 | threads
  std::atomic<std::uint32_t> handles{0};
  std::atomic<Clock::rep> arrived{0};  ///< the latest of them

  bool is_vacant() const { return process.load() == 0; }
  void clear() {
    store(waiting, std::uint64_t{0});
    store(handles, std::uint32_t{0});
  }
};

/// Whether a process still lives that has waited for so long is asked before a round ends. To ask
/// takes some microseconds, more than a round of parties that come at once.
constexpr auto unquestioned = std::chrono::milliseconds(1);

/// Who slept through so many rounds may take one that was broken for one that was passed.
constexpr std::uint64_t remembered_rounds = 4096;

}  // namespace

struct BarrierState {
  BarrierState(std::int64_t count, bool with_action) : parties(count), has_action(with_action) {}

  const std::int64_t parties;
  const bool has_action;
  RobustMutex mutex{false, OwnerDeath::recover};
  os::Bell bell;
  std::atomic<std::uint64_t> round{1};
  std::atomic<std::uint32_t> broken{0};
  ProcessTable<Seat> seats;
  /// A bit for each of the latest rounds: it was reset, not passed.
  std::array<std::atomic<std::uint64_t>, remembered_rounds / 64> was_reset{};

  std::int64_t waiting() const {
    const std::uint64_t now = round.load();
    std::int64_t sum = 0;
    for (const Seat& seat : seats.entries()) {
      const std::uint64_t waiting = seat.waiting.load();
      if (waiting >> 16 == now) sum += static_cast<std::int64_t>(waiting & 0xffff);
    }
    return sum;
  }

  /// For the last to come: whether one of those who wait may have died, and nobody has looked.
  bool may_be_deserted() const {
    if (waiting() + 1 < parties) return false;
    const std::uint64_t now = round.load();
    const Clock::rep before = (Clock::now() - unquestioned).time_since_epoch().count();
    return std::ranges::any_of(seats.entries(), [&](const Seat& seat) {
      return seat.waiting.load() >> 16 == now && seat.arrived.load() < before;
    });
  }

  bool is_reset(std::uint64_t of) const {
    return (was_reset[of / 64 % was_reset.size()].load() >> (of % 64) & 1) != 0;
  }

  /// With the mutex held.
  void end_round(bool reset) {
    const std::uint64_t now = round.load();
    auto& word = was_reset[now / 64 % was_reset.size()];
    const std::uint64_t bit = std::uint64_t{1} << (now % 64);
    store(word, reset ? word.load() | bit : word.load() & ~bit);
    store(round, now + 1);
  }

  /// Frees the seats of dead processes, and breaks the barrier if there are any: first, so that the
  /// death is seen even if this process dies in between.
  void sweep() {
    seats.sweep(mutex, [this](int) { store(broken, std::uint32_t{1}); });
  }
};

namespace {

/// The handles of this process that have a part in a seat. A forked child has none.
struct Seated {
  std::mutex mutex;
  std::set<BarrierSeat*> handles;
};

constinit os::PerProcess<Seated> seated;

}  // namespace

/// A handle's part in its process's seat. It is given back when the handle goes or the process ends
/// in order, so that a seat whose process is no more tells of a death.
class BarrierSeat {
 public:
  explicit BarrierSeat(SharedBlock block) : block_(std::move(block)) {}
  BarrierSeat(const BarrierSeat&) = delete;
  BarrierSeat& operator=(const BarrierSeat&) = delete;
  ~BarrierSeat() {
    Seated& here = seated.here();
    {
      const std::lock_guard lock(here.mutex);
      here.handles.erase(this);
    }
    leave();
  }

  /// Without the state's mutex. Does nothing the second time.
  void take() {
    {
      Seated& here = seated.here();
      const std::lock_guard lock(here.mutex);
      if (here.handles.insert(this).second) os::at_process_end(leave_all);
    }
    if (taken_by_.load() == os::own_process()) return;
    auto& state = block_.as<BarrierState>();
    for (bool swept = false;; swept = true) {
      {
        const Guard guard(state.mutex);
        if (taken_by_.load() == os::own_process()) return;
        if (Seat* const seat = state.seats.find_or_add()) {
          store(seat->handles, seat->handles.load() + 1);
          taken_by_.store(os::own_process());
          return;
        }
      }
      if (swept) {
        throw BadArgument("more than " + std::to_string(state.seats.capacity) +
                          " processes use one barrier");
      }
      state.sweep();
    }
  }

 private:
  static void leave_all() {
    Seated& here = seated.here();
    const std::lock_guard lock(here.mutex);
    for (BarrierSeat* const one : here.handles) one->leave();
    here.handles.clear();
  }

  void leave() {
    if (taken_by_.load() != os::own_process()) return;
    auto& state = block_.as<BarrierState>();
    const Guard guard(state.mutex);
    if (taken_by_.exchange(0) != os::own_process()) return;
    Seat* const seat = state.seats.find();
    if (seat == nullptr) return;
    if (seat->handles.load() > 1) {
      store(seat->handles, seat->handles.load() - 1);
    } else {
      state.seats.free(*seat);
    }
  }

  SharedBlock block_;
  // Changed with the mutex of the state, which a forked child finds usable.
  std::atomic<os::ProcessId> taken_by_{0};
};

}  // namespace detail::multiprocess

using namespace detail::multiprocess;

namespace {

BarrierState& state_of(const Barrier& barrier) { return barrier.block().as<BarrierState>(); }

[[noreturn]] void throw_broken() {
  throw BrokenBarrier(
      "the barrier is broken: a party died, gave up at its time limit, or called abort() or "
      "reset()");
}

}  // namespace

Barrier::Barrier(std::ptrdiff_t parties, Action action)
    : SharedHandle(detail::SharedBlock::make("hoist-barrier", sizeof(BarrierState))),
      seat_(std::make_shared<BarrierSeat>(this->block())),
      action_(std::move(action)) {
  if (parties < 1 || parties > 0xffff) {
    throw BadArgument("a barrier is for 1 to 65535 parties, not " + std::to_string(parties));
  }
  new (block().data()) BarrierState(parties, action_ != nullptr);
}

Barrier::Barrier(detail::SharedBlock block, Action action)
    : SharedHandle(std::move(block)),
      seat_(std::make_shared<BarrierSeat>(this->block())),
      action_(std::move(action)) {
  seat_->take();
}

std::ptrdiff_t Barrier::wait() const {
  return wait_until(std::chrono::steady_clock::time_point::max());
}

std::ptrdiff_t Barrier::wait_until(std::chrono::steady_clock::time_point deadline) const {
  BarrierState& state = state_of(*this);
  seat_->take();
  if (state.may_be_deserted()) state.sweep();
  std::int64_t place = 0;
  std::uint64_t round = 0;
  for (bool entered = false; !entered;) {
    // All have come, and the action runs: whoever comes now is of the next round.
    const auto has_place = [&] {
      return state.broken.load() != 0 || state.waiting() < state.parties;
    };
    const bool in_time = wait_and_look(state.bell, deadline, has_place, [&] { state.sweep(); });
    const Guard guard(state.mutex);
    if (state.broken.load() != 0) throw_broken();
    if (state.waiting() >= state.parties) {
      if (in_time) continue;
      store(state.broken, std::uint32_t{1});
      state.bell.ring();
      throw_broken();
    }
    entered = true;
    Seat* const seat = state.seats.find();
    if (seat == nullptr) throw_broken();  // the process is ending
    round = state.round.load();
    place = state.waiting();
    const std::uint64_t before = seat->waiting.load();
    const std::uint64_t threads = before >> 16 == round ? before & 0xffff : 0;
    store(seat->arrived, Clock::now().time_since_epoch().count());
    store(seat->waiting, round << 16 | (threads + 1));
    if (place + 1 == state.parties && !state.has_action) state.end_round(false);
  }
  if (place + 1 == state.parties && state.has_action) run_action(round);
  const auto over = [&] { return state.round.load() != round || state.broken.load() != 0; };
  const auto look = [&] {
    state.sweep();
    const Guard guard(state.mutex);
    // The last to come may have died before it ended the round, which only its own action is for.
    if (!state.has_action && !over() && state.waiting() == state.parties) state.end_round(false);
  };
  if (!over() && !wait_and_look(state.bell, deadline, over, look)) {
    const Guard guard(state.mutex);
    if (state.round.load() == round) store(state.broken, std::uint32_t{1});
  }
  about_to_store();
  state.bell.ring();
  if (state.round.load() == round || state.is_reset(round)) throw_broken();
  return place;
}

/// By the last to come.
void Barrier::run_action(std::uint64_t round) const {
  try {
    action_->run();
  } catch (...) {
    abort();
    throw;
  }
  BarrierState& state = state_of(*this);
  const Guard guard(state.mutex);
  if (state.broken.load() == 0 && state.round.load() == round) state.end_round(false);
}

void Barrier::abort() const {
  BarrierState& state = state_of(*this);
  {
    const Guard guard(state.mutex);
    store(state.broken, std::uint32_t{1});
  }
  state.bell.ring();
}

void Barrier::reset() const {
  BarrierState& state = state_of(*this);
  state.sweep();
  {
    const Guard guard(state.mutex);
    state.end_round(true);
    store(state.broken, std::uint32_t{0});
  }
  state.bell.ring();
}

bool Barrier::broken() const { return state_of(*this).broken.load() != 0; }

std::ptrdiff_t Barrier::parties() const { return state_of(*this).parties; }

std::ptrdiff_t Barrier::n_waiting() const { return broken() ? 0 : state_of(*this).waiting(); }

}  // namespace hoist
