// SPDX-License-Identifier: BSD-3-Clause
#include "managers/turns.hpp"

#include <atomic>
#include <cstddef>
#include <map>
#include <mutex>
#include <utility>

namespace hoist::detail::managers {

namespace {

constinit thread_local Chain here = 0;

struct Waits {
  std::mutex mutex;                      // of all turns
  std::map<Chain, const Turn*> waiting;  // for which one each chain waits
};

Waits& waits() {
  static auto* const all = new Waits;
  return *all;
}

/// Whether who has the turn waits, by way of others, for this chain. A circle of others ends the
/// search: one is there for a moment when a call is done that had gone first, until those it has
/// told, one of whom closes the circle, have looked.
bool waits_for(const Turn& turn, Chain chain) {
  const auto& waiting = waits().waiting;
  const Turn* next = &turn;
  for (std::size_t seen = 0; seen <= waiting.size(); ++seen) {
    if (next->callers.empty()) return false;  // who waits for it has been told, and goes on
    const Chain holder = next->callers.back();
    if (holder == chain) return true;
    const auto at = waiting.find(holder);
    if (at == waiting.end()) return false;
    next = at->second;
  }
  return false;
}

}  // namespace

Chain chain_here() { return here; }

Chain new_chain() {
  static std::atomic<Chain> last{0};
  return ++last;
}

TakenTurn::TakenTurn(Turn& turn, Chain chain) : turn_(turn), before_(std::exchange(here, chain)) {
  auto& [mutex, waiting] = waits();
  std::unique_lock lock(mutex);
  // A circle is closed by who would enter it last.
  while (!turn.callers.empty() && !waits_for(turn, chain)) {
    waiting[chain] = &turn;
    turn.passed.wait(lock);
  }
  waiting.erase(chain);
  turn.callers.push_back(chain);
}

TakenTurn::~TakenTurn() {
  {
    const std::lock_guard lock(waits().mutex);
    turn_.callers.pop_back();
  }
  turn_.passed.notify_all();
  here = before_;
}

}  // namespace hoist::detail::managers
