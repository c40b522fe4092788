// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <condition_variable>
#include <cstdint>
#include <vector>

namespace hoist::detail::managers {

/// A call of an object, with all that its function calls of this server's objects in turn.
using Chain = std::uint64_t;

/// The chain whose call this thread runs; 0 for none.
Chain chain_here();
/// One that no other call has.
Chain new_chain();

/// Who calls an object: the last of them runs, the others wait in calls of their own until it is
/// done.
struct Turn {
  std::vector<Chain> callers;
  std::condition_variable passed;
};

/// The turn of a call of this thread, which waits for it: one chain at a time is at work on an
/// object. A chain that waits for others does no work, so what these call of its object goes first
/// where it would otherwise wait for ever; and so does what it calls itself.
class TakenTurn {
 public:
  TakenTurn(Turn& turn, Chain chain);
  TakenTurn(const TakenTurn&) = delete;
  TakenTurn& operator=(const TakenTurn&) = delete;
  ~TakenTurn();

 private:
  Turn& turn_;
  const Chain before_;
};

}  // namespace hoist::detail::managers
