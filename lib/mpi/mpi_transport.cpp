// SPDX-License-Identifier: BSD-3-Clause
#include "mpi/mpi_transport.hpp"

#include <hoist/error.hpp>

#include <mpi.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <new>
#include <optional>
#include <span>
#include <system_error>
#include <thread>
#include <utility>

#include "ipc/channel.hpp"
#include "os/child_watch.hpp"
#include "os/machine_name.hpp"

namespace hoist::detail::mpi {

namespace {

/// Any tag of the program's own messages will do but these; no communicator is made, as that would
/// take all ranks, and rank 0 may end without a loop.
constexpr int message_tag = 26739;
constexpr int introduction_tag = 26740;
constexpr int question_tag = 26741;  // whether a host is there, and its answer: both are empty

/// Introductions and deaths are looked for that often; each look costs about a microsecond.
constexpr auto look_interval = std::chrono::milliseconds(1);
constexpr auto close_patience = std::chrono::seconds(5);
/// A host on another machine is given up when it has not been heard of for so long.
constexpr auto lease = std::chrono::seconds(10);
constexpr auto ask_after = lease / 4;
/// Who has not polled for so long may have missed answers.
constexpr auto absence = std::chrono::seconds(1);
/// Messages that are handled before the caller has its turn.
constexpr int most_at_once = 64;

void check(int code, const char* what) {
  if (code == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING];
  int length = 0;
  MPI_Error_string(code, text, &length);
  throw Error(std::string("MPI: can't ") + what + ": " + std::string(text, text + length));
}

/// Tells machines of one name apart, and containers on one: those of one id see each other's
/// processes.
std::string machine_id() {
  std::error_code unknown;
  return os::machine_name() + "/" + os::read_text("/proc/sys/kernel/random/boot_id").value_or("") +
         std::filesystem::read_symlink("/proc/self/ns/pid", unknown).string();
}

struct Received {
  int rank = 0;
  std::span<const std::byte> content;  // in the buffer
};

/// The next message with that tag; empty if there is none. The buffer only grows.
std::optional<Received> next_message(int tag, std::vector<std::byte>& buffer) {
  int there = 0;
  MPI_Status status;
  check(MPI_Iprobe(MPI_ANY_SOURCE, tag, MPI_COMM_WORLD, &there, &status),
        "receive from other ranks");
  if (there == 0) return std::nullopt;
  int bytes = 0;
  MPI_Get_count(&status, MPI_BYTE, &bytes);
  const auto size = static_cast<std::size_t>(bytes);
  if (buffer.size() < size) buffer.resize(size);
  check(MPI_Recv(buffer.data(), bytes, MPI_BYTE, status.MPI_SOURCE, tag, MPI_COMM_WORLD,
                 MPI_STATUS_IGNORE),
        "receive from another rank");
  return Received{status.MPI_SOURCE, {buffer.data(), size}};
}

}  // namespace

struct MpiTransport::Sent {
  int rank;
  std::vector<std::byte> message;
  MPI_Request request = MPI_REQUEST_NULL;
  bool counts = false;  // in the rank's `unsent`: not what was sent before the rank had joined
};

MpiTransport::MpiTransport(bool one_per_machine) : one_per_machine_(one_per_machine) {
  int size = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &own_rank_);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  for (int rank = own_rank_ == 0 ? 1 : 0; rank < (own_rank_ == 0 ? size : 1); ++rank) {
    silent_.insert(rank);
    alive_.insert(rank);
    introduce(rank);
  }
}

MpiTransport::~MpiTransport() {
  // MPI still reads what it could not send in time.
  if (!sent_.empty()) new (std::nothrow) std::list<Sent>(std::move(sent_));
}

void MpiTransport::introduce(int rank) {
  ipc::FieldWriter text;
  text.put(std::int64_t{::getpid()});
  text.text(os::machine_name());
  text.text(machine_id());
  start_send(rank, introduction_tag, {text.bytes().begin(), text.bytes().end()});
}

void MpiTransport::take_introduction(int number, std::span<const std::byte> text, Events& events) {
  ipc::FieldReader fields(text);
  const auto pid = static_cast<pid_t>(fields.get<std::int64_t>());
  const std::string machine = fields.text();
  const std::string id = fields.text();
  silent_.erase(number);
  // The others wait for the end of the job.
  if (own_rank_ == 0 && one_per_machine_ && !machines_.insert(id).second) return;
  Rank& rank = ranks_[number];
  rank.name = machine + " (rank " + std::to_string(number) + ")";
  rank.heard_of = Clock::now();
  if (id == machine_id()) rank.process = os::open_pidfd(pid);
  events.joined(static_cast<remote::Peer>(number), rank.name);
}

void MpiTransport::start_send(int rank, int tag, std::vector<std::byte> message) {
  Sent& sent = sent_.emplace_back(Sent{rank, std::move(message)});
  check(MPI_Isend(sent.message.data(), static_cast<int>(sent.message.size()), MPI_BYTE, rank, tag,
                  MPI_COMM_WORLD, &sent.request),
        "send to another rank");
  int done = 0;
  MPI_Test(&sent.request, &done, MPI_STATUS_IGNORE);
  if (done != 0) {
    sent_.pop_back();
  } else if (const auto at = ranks_.find(rank); at != ranks_.end()) {
    at->second.unsent += sent.message.size();
    sent.counts = true;
  }
}

void MpiTransport::send(remote::Peer to, std::vector<std::byte> message) {
  const int rank = static_cast<int>(to);
  if (!message.empty() && ranks_.contains(rank)) start_send(rank, message_tag, std::move(message));
}

std::size_t MpiTransport::unsent(remote::Peer to) const {
  const auto at = ranks_.find(static_cast<int>(to));
  return at != ranks_.end() ? at->second.unsent : 0;
}

bool MpiTransport::complete_sends() {
  bool any = false;
  for (auto at = sent_.begin(); at != sent_.end();) {
    int done = 0;
    if (MPI_Test(&at->request, &done, MPI_STATUS_IGNORE) != MPI_SUCCESS) done = 1;
    if (done == 0) {
      ++at;
      continue;
    }
    any = true;
    if (const auto rank = ranks_.find(at->rank); at->counts && rank != ranks_.end()) {
      rank->second.unsent -= at->message.size();
    }
    at = sent_.erase(at);
  }
  return any;
}

bool MpiTransport::receive(Events& events) {
  const auto message = next_message(message_tag, buffer_);
  if (!message) return false;
  const int rank = message->rank;
  if (!ranks_.contains(rank)) take_introductions(events);  // its own came first
  if (message->content.empty()) {
    lose(rank, "has ended", events);
    return true;
  }
  const auto its = ranks_.find(rank);
  if (its == ranks_.end()) {
    // It was given up, and others have its tasks: it is to end.
    if (own_rank_ == 0 && alive_.erase(rank) > 0) start_send(rank, message_tag, {});
    return true;
  }
  its->second.heard_of = Clock::now();
  events.received(static_cast<remote::Peer>(rank), message->content);
  return true;
}

bool MpiTransport::poll(Events& events) {
  bool any = false;
  for (int i = 0; i < most_at_once && receive(events); ++i) any = true;
  if (!sent_.empty()) any = complete_sends() || any;
  if (const auto now = Clock::now(); now >= next_look_) {
    if (now - next_look_ > absence) {
      for (auto& [number, rank] : ranks_) rank.heard_of = now;
    }
    next_look_ = now + look_interval;
    take_introductions(events);
    look_for_deaths(events);
    take_questions();
    if (own_rank_ == 0) look_for_silence(events);
  }
  return any;
}

void MpiTransport::take_introductions(Events& events) {
  std::vector<std::byte> text;
  while (const auto message = next_message(introduction_tag, text)) {
    take_introduction(message->rank, message->content, events);
  }
}

void MpiTransport::look_for_deaths(Events& events) {
  std::vector<int> ended;
  for (const auto& [rank, its] : ranks_) {
    if (!its.process) continue;
    pollfd end{its.process.get(), POLLIN, 0};
    if (::poll(&end, 1, 0) > 0) ended.push_back(rank);
  }
  for (const int rank : ended) {
    // What it said before is there, as it was on this machine.
    while (receive(events)) {
    }
    alive_.erase(rank);
    lose(rank, "has died", events);
  }
}

/// A host answers, and the master notes answers.
void MpiTransport::take_questions() {
  std::vector<std::byte> empty;
  while (const auto message = next_message(question_tag, empty)) {
    if (own_rank_ != 0) {
      start_send(message->rank, question_tag, {});
    } else if (const auto at = ranks_.find(message->rank); at != ranks_.end()) {
      at->second.heard_of = Clock::now();
      at->second.is_asked = false;
    }
  }
}

/// Nobody tells of a machine that vanishes or is cut off: hosts elsewhere are asked. By the master
/// alone and one question at a time, since nobody receives between loops.
void MpiTransport::look_for_silence(Events& events) {
  const auto now = Clock::now();
  std::vector<int> silent;
  for (auto& [number, rank] : ranks_) {
    if (rank.process) continue;
    if (!rank.is_asked && now - rank.heard_of >= ask_after) {
      rank.is_asked = true;
      start_send(number, question_tag, {});
    } else if (now - rank.heard_of >= lease) {
      silent.push_back(number);
    }
  }
  for (const int rank : silent) lose(rank, "has not been heard of for 10 s", events);
}

void MpiTransport::lose(int rank, const std::string& why, Events& events) {
  silent_.erase(rank);
  ended_.insert(rank);
  if (ranks_.erase(rank) > 0) events.lost(static_cast<remote::Peer>(rank), why);
}

void MpiTransport::drop(remote::Peer peer) {
  const int rank = static_cast<int>(peer);
  ranks_.erase(rank);
}

void MpiTransport::close() {
  // Nothing may be under way when MPI is finalized.
  class Ignored final : public Events {
    void joined(remote::Peer, const std::string&) override {}
    void received(remote::Peer, std::span<const std::byte>) override {}
    void lost(remote::Peer, const std::string&) override {}
  } ignored;
  for (const int rank : alive_) start_send(rank, message_tag, {});
  const auto deadline = Clock::now() + close_patience;
  while (!(std::ranges::includes(ended_, alive_) && sent_.empty()) && Clock::now() < deadline) {
    if (poll(ignored)) continue;
    // MPI has no event to wait for: it has to be asked.
    std::this_thread::sleep_for(poll_interval());
  }
  ranks_.clear();
}

}  // namespace hoist::detail::mpi
