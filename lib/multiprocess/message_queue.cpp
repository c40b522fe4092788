// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/detail/message_queue.hpp>

#include <hoist/detail/watch.hpp>
#include <hoist/error.hpp>

#include <algorithm>
#include <new>
#include <utility>

#include "ipc/shared_bytes.hpp"
#include "multiprocess/message_content.hpp"
#include "multiprocess/passed_descriptors.hpp"
#include "multiprocess/queue_holders.hpp"
#include "multiprocess/queue_state.hpp"
#include "multiprocess/shared_store.hpp"
#include "os/socket.hpp"

namespace hoist::detail {

using namespace multiprocess;

namespace {

constexpr std::size_t page = 4096;
constexpr std::size_t data_offset = (sizeof(QueueState) + page - 1) / page * page;

/// What was used last by this thread. Plain pointers, as they are looked at also when the thread's
/// other objects have been destroyed.
constinit thread_local MessageContent* spare = nullptr;
constinit thread_local bool thread_ends = false;

struct FreeSpare {
  ~FreeSpare() {
    thread_ends = true;
    delete std::exchange(spare, nullptr);
  }
};

RingView view_of(const MessageQueue& queue) {
  const SharedBlock& block = queue.block();
  return {block.as<QueueState>().ring, block.data() + data_offset, *block.storage()};
}

/// Who only tries still waits for a turn, which others have for microseconds.
Deadline for_turn(Deadline deadline) {
  if (deadline == Deadline::max()) return deadline;
  return std::max(deadline, Clock::now() + std::chrono::milliseconds(100));
}

void look_for(const Peers* peers) {
  if (peers != nullptr) peers->look();
}

/// Whether nobody will read: for writers.
bool is_off(const QueueState& state, const Peers* peers) {
  return state.closed.load() != QueueState::open || (peers != nullptr && peers->are_gone());
}

/// Whether nobody will write any more: for readers.
bool will_have_none(const QueueState& state, const Peers* peers) {
  return state.closed.load() == QueueState::ended || (peers != nullptr && peers->are_gone());
}

/// Completes what close() has begun, unless somebody writes.
void end_closing(QueueState& state, const RingView& view, Deadline deadline) {
  const WriteTurn turn(view, deadline);
  if (turn) store(state.closed, std::uint32_t{QueueState::ended});
}

/// For a reader that waits: who was closing the queue may have died.
void look_as_reader(QueueState& state, const RingView& view, const Peers* peers) {
  look_for(peers);
  if (state.closed.load() == QueueState::closing) end_closing(state, view, Deadline());
}

[[noreturn]] void throw_alone() {
  throw EndOfStream(
      "the wait for a queue would never end: all other processes that had it have ended or let go "
      "of it, and this one has no other thread");
}

[[noreturn]] void throw_nothing_comes(const QueueState& state) {
  if (state.closed.load() != QueueState::open) throw Closed("the queue has been closed");
  if (!state.is_pipe) throw_alone();
  throw EndOfStream("the other end of the pipe is closed, or those who had it have ended");
}

/// Calls `wait` with these peers or, where they are not known, with the others that have the queue.
template <class Wait>
bool wait_for(const Holding* holding, const Peers* peers, const Wait& wait) {
  if (peers != nullptr || holding == nullptr) return wait(peers);
  const Others others(*holding);
  return wait(&others);
}

/// Sends what the content has packed.
bool put_message(const MessageQueue& queue, const Storage& socket, MessageContent& content,
                 Deadline deadline, const Peers* peers) {
  auto& state = queue.block().as<QueueState>();
  const RingView view = view_of(queue);
  const auto off = [&] { return is_off(state, peers); };
  const auto look = [&] { look_for(peers); };
  for (bool sent = false; !sent;) {
    Place seen;
    {
      WriteTurn turn(view, for_turn(deadline));
      if (!turn) return false;
      if (off()) throw_nothing_comes(state);
      // Not looked at without need: its line of the cache is the reader's.
      if (content.outside() > 0) seen = state.ring.head.load();
      if (state.has_room_outside(content.outside()) && turn.has_room(content.bytes(), seen)) {
        sent = (content.descriptors().empty() ||
                send_descriptors(state, view, socket.backing().fd, content, deadline, off, look)) &&
               turn.write(content.pieces(), deadline, off, look);
        if (!sent && !off()) return false;
        if (!sent) throw_nothing_comes(state);
      }
    }
    if (sent) break;
    if (deadline == Deadline()) return false;
    const auto changed = [&] { return state.ring.head.load() != seen || off(); };
    if (!wait_and_look(state.ring.freed, deadline, changed, look)) return false;
  }
  state.ring.filled.ring();
  if (state.watched.load(std::memory_order_relaxed) != 0) signal(state, socket.backing().fd);
  return true;
}

/// Has `receive` read a message; false of it: the message was broken off. Calls `taking` before the
/// message is taken, and `taken` afterwards.
template <class Receive, class Taking, class Taken>
bool get_message(const MessageQueue& queue, Deadline deadline, const Peers* peers,
                 const Receive& receive, const Taking& taking, const Taken& taken) {
  auto& state = queue.block().as<QueueState>();
  const RingView view = view_of(queue);
  const auto take = [&] {
    ReadTurn turn(view, for_turn(deadline));
    if (!turn) return false;
    while (turn.begin()) {
      try {
        if (!receive(turn)) continue;
      } catch (const WrongType&) {
        turn.drop();
        throw;
      }
      taking();
      if (state.counts_tasks) state.note_taken();
      turn.take();
      taken();
      return true;
    }
    return false;
  };
  const auto ready = [&] { return view.has_record() || will_have_none(state, peers); };
  const auto look = [&] { look_as_reader(state, view, peers); };
  for (;;) {
    const bool is_last = will_have_none(state, peers);
    if (view.has_record()) {
      if (take()) {
        state.ring.freed.ring();
        if (state.watched.load(std::memory_order_relaxed) != 0) queue.settle();
        return true;
      }
      if (view.has_record() && Clock::now() >= deadline) return false;
      continue;
    }
    if (is_last) throw_nothing_comes(state);
    if (deadline == Deadline()) {
      look();
      if (!ready()) return false;
    } else if (!wait_and_look(state.ring.filled, deadline, ready, look)) {
      return false;
    }
  }
}

}  // namespace

MessageRoom::MessageRoom() : content_(std::exchange(spare, nullptr)) {
  if (content_ == nullptr) content_ = std::make_unique<MessageContent>();
}

MessageRoom::~MessageRoom() {
  content_->clear();
  if (spare != nullptr || thread_ends) return;
  static thread_local const FreeSpare free_spare;
  static_cast<void>(free_spare);
  spare = content_.release();
}

Encoder& MessageRoom::encoder() noexcept { return content_->encoder; }
DecodeSource& MessageRoom::source() noexcept { return *content_; }

MessageQueue::MessageQueue(const QueueLimits& limits, Knows knows)
    : SharedHandle(SharedBlock(
          BlockTag(),
          ipc::allocate_growing("hoist-queue",
                                data_offset + MessageRing::chunk_for(limits.max_bytes) *
                                                  MessageRing::chunks_for(limits.max_bytes),
                                data_offset + MessageRing::chunk_for(limits.max_bytes)))),
      socket_(ipc::keep_descriptor(os::self_connected_socket())) {
  auto* const state = new (block().data()) QueueState(limits.max_items, limits.max_bytes, knows);
  holding_ = Holding::take(block(), state->holders);
}

MessageQueue::MessageQueue(SharedBlock block, std::shared_ptr<Storage> socket)
    : SharedHandle(std::move(block)),
      socket_(std::move(socket)),
      holding_(Holding::take(this->block(), this->block().as<QueueState>().holders)) {}

bool MessageQueue::note_sent(bool to_new_process) const {
  return holding_ != nullptr && holding_->note_sent(to_new_process);
}

void MessageQueue::note_arrived() const {
  if (holding_ != nullptr) holding_->note_arrived();
}

bool MessageQueue::put(MessageRoom& room, Deadline deadline, const Peers* peers) const {
  return put(room, room.encoder(), deadline, peers);
}

bool MessageQueue::put(MessageRoom& room, Encoder& encoder, Deadline deadline,
                       const Peers* peers) const {
  room.content().pack(encoder);
  return wait_for(holding_.get(), peers, [&](const Peers* known) {
    return put_message(*this, *socket_, room.content(), deadline, known);
  });
}

bool MessageQueue::is_outgrown_by(MessageRoom& room) const {
  return view_of(*this).is_outgrown_by(room.content().bytes());
}

bool MessageQueue::get(MessageRoom& room, Deadline deadline, const Peers* peers) const {
  auto& state = block().as<QueueState>();
  MessageContent& content = room.content();
  std::vector<os::Fd> reserve;
  const auto receive = [&](ReadTurn& turn) {
    content.clear();
    return content.receive(turn);
  };
  const auto taking = [&] {
    if (content.expected() == 0) return;
    reserve = reserve_descriptors(socket_->backing().fd, content.expected());
    store(state.outside_taken, content.outside_until());
  };
  const auto taken = [&] {
    if (content.expected() == 0) return;
    receive_descriptors(state, socket_->backing().fd, content, std::move(reserve));
  };
  return wait_for(holding_.get(), peers, [&](const Peers* known) {
    return get_message(*this, deadline, known, receive, taking, taken);
  });
}

bool MessageQueue::put_bytes(std::span<const std::byte> bytes, Deadline deadline,
                             const Peers* peers) const {
  MessageRoom room;
  room.content().pack_bytes(bytes);
  return put_message(*this, *socket_, room.content(), deadline, peers);
}

bool MessageQueue::get_bytes(const PlaceFor& place_for, Deadline deadline,
                             const Peers* peers) const {
  const auto receive = [&](ReadTurn& turn) {
    std::uint64_t kind = 0;
    if (turn.size() < sizeof kind || !turn.read(&kind, sizeof kind)) return false;
    if (kind != bytes_message) {
      throw WrongType("what was received is a value, not bytes: use recv()");
    }
    const auto bytes = static_cast<std::size_t>(turn.size() - sizeof kind);
    return turn.read(place_for(bytes), bytes);
  };
  return get_message(*this, deadline, peers, receive, [] {}, [] {});
}

bool MessageQueue::poll(Deadline deadline, const Peers* peers) const {
  auto& state = block().as<QueueState>();
  const RingView view = view_of(*this);
  const auto ready = [&] { return view.has_record() || will_have_none(state, peers); };
  const auto look = [&] { look_as_reader(state, view, peers); };
  if (ready()) return true;
  if (deadline == Deadline()) {
    look();
    if (ready()) return true;
  } else if (wait_and_look(state.ring.filled, deadline, ready, look)) {
    return true;
  }
  if (state.watched.load() != 0) settle();
  return false;
}

std::size_t MessageQueue::size() const { return view_of(*this).size(); }

bool MessageQueue::is_empty() const { return !view_of(*this).has_record(); }

bool MessageQueue::is_full() const {
  WriteTurn turn(view_of(*this), for_turn(Deadline()));
  Place seen;
  return !turn || !turn.has_room(1, seen) || !block().as<QueueState>().has_room_outside(1);
}

void MessageQueue::close() const {
  auto& state = block().as<QueueState>();
  std::uint32_t before = QueueState::open;
  about_to_store();
  if (state.closed.compare_exchange_strong(before, std::uint32_t{QueueState::closing})) {
    state.ring.freed.ring();
    // Messages that are being written come before it, or are given up.
    end_closing(state, view_of(*this), Deadline::max());
  }
  wake();
}

void MessageQueue::wake() const {
  auto& state = block().as<QueueState>();
  state.ring.filled.ring();
  state.ring.freed.ring();
  if (state.watched.load() != 0) signal(state, socket_->backing().fd);
}

int MessageQueue::fileno() const {
  auto& state = block().as<QueueState>();
  const int socket = socket_->backing().fd;
  store(state.watched, 1U);
  if (view_of(*this).has_record() || is_closed()) signal(state, socket);
  return socket;
}

void MessageQueue::settle() const {
  auto& state = block().as<QueueState>();
  const RingView view = view_of(*this);
  const int socket = socket_->backing().fd;
  if (view.has_record() || is_closed()) return signal(state, socket);
  {
    const ReadTurn reading(view, Deadline());
    const WriteTurn writing(view, Deadline());
    if (!reading || !writing) return;  // who has the turn will see to it
    store(state.signalled, 0U);
    // Nothing is in the queue or on its way, so these belong to nobody.
    while (!view.has_record() && drop_descriptor(socket)) {
    }
  }
  if (view.has_record()) signal(state, socket);
}

Change when_readable(const MessageQueue& queue) {
  return {queue.block(), &queue.block().as<QueueState>().ring.filled,
          [queue] { return queue.poll(Deadline()); }};
}

Change when_writable(const MessageQueue& queue) {
  auto& state = queue.block().as<QueueState>();
  // It may have been refused only because others had their turn.
  const auto again = Clock::now() + 4 * look_interval;
  return {queue.block(), &state.ring.freed, [queue, again, seen = state.ring.head.load()] {
            auto& now = queue.block().as<QueueState>();
            return now.ring.head.load() != seen || is_off(now, nullptr) || Clock::now() >= again;
          }};
}

bool MessageQueue::is_closed() const {
  return block().as<QueueState>().closed.load() != QueueState::open;
}

void MessageQueue::task_done() const {
  auto& state = block().as<QueueState>();
  if (state.task_done()) state.all_done.ring();
}

bool MessageQueue::join(Deadline deadline) const {
  auto& state = block().as<QueueState>();
  const RingView view = view_of(*this);
  const auto look = [&] {
    state.sweep();
    const ReadTurn turn(view, Clock::now());
    if (turn) state.drop_lost_tasks();
  };
  look();
  return wait_for(holding_.get(), nullptr, [&](const Peers* others) {
    const auto done = [&] { return state.unfinished() == 0; };
    const auto over = [&] { return done() || (others != nullptr && others->are_gone()); };
    const auto look_around = [&] {
      look();
      look_for(others);
    };
    if (!wait_and_look(state.all_done, deadline, over, look_around)) return false;
    if (!done()) throw_alone();
    return true;
  });
}

}  // namespace hoist::detail
