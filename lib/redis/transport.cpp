// SPDX-License-Identifier: BSD-3-Clause
#include "redis/transport.hpp"

#include <hoist/error.hpp>

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <set>
#include <string_view>
#include <utility>

#include "base/random_name.hpp"
#include "os/machine_name.hpp"

namespace hoist::detail::redis {

namespace {

constexpr std::size_t pops_at_once = 8;
/// So much may be in a list that its owner has not taken: it is in the memory of the server.
constexpr std::uint64_t most_under_way = std::uint64_t{32} << 20;
constexpr std::uint64_t told_each = most_under_way / 8;

/// KEYS: own side, other side, own list. ARGV: the own member, how long it is good for. What is no
/// longer good is removed, from both. Returns the other side's.
constexpr std::string_view beat_script =
    "redis.replicate_commands() "
    "local t=redis.call('TIME') local now=t[1]*1000+math.floor(t[2]/1000) "
    "redis.call('ZADD',KEYS[1],now+ARGV[2],ARGV[1]) redis.call('PEXPIRE',KEYS[1],ARGV[2]) "
    "redis.call('PEXPIRE',KEYS[3],ARGV[2]) "
    "for i=1,2 do redis.call('ZREMRANGEBYSCORE',KEYS[i],'-inf',now) end "
    "return redis.call('ZRANGE',KEYS[2],0,-1)";

std::string name_of_process() {
  return os::machine_name() + " (process " + std::to_string(::getpid()) + ")";
}

template <class T>
std::span<const std::byte> bytes_of(const T& value) {
  return std::as_bytes(std::span(&value, 1));
}

}  // namespace

RedisTransport::RedisTransport(const Url& url, Role role)
    : url_(url), role_(role), keys_(url), news_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (!news_) throw SystemError("can't make an eventfd", errno);
  connect();
}

RedisTransport::~RedisTransport() { close(); }

// --- The connection ------------------------------------------------------------------------------

void RedisTransport::connect() {
  auto link = std::make_unique<Link>(url_);
  link->id = base::random_name(id_digits_of_side);
  const std::lock_guard lock(mutex_);
  link_ = std::move(link);
  try {
    ask_for_more();
    beat(Clock::now());
    // What the server refuses is known before anybody relies on it.
    while (!link_->due.empty()) take_reply();
  } catch (...) {
    break_off("is out of reach");
    throw;
  }
}

void RedisTransport::break_off(const std::string& why) {
  link_.reset();
  while (!others_.empty()) lose(others_.begin()->first, why);
  dropped_.clear();
  tell_thread();
}

void RedisTransport::forget(remote::Peer peer, bool knows) {
  const auto node = others_.extract(peer);
  if (!node) return;
  peers_.erase(node.mapped().id);
  dropped_.emplace(node.mapped().id, !knows);
}

/// `knows`: the other side has given up this one too, or ended.
void RedisTransport::lose(remote::Peer peer, const std::string& why, bool knows) {
  const auto at = others_.find(peer);
  if (at == others_.end()) return;
  if (!at->second.name.empty()) events_.push_back({Event::What::lost, peer, why});
  forget(peer, knows);
}

/// Sees to it that pops are under way, each of which waits for an entry.
void RedisTransport::ask_for_more() {
  if (link_->asked > pops_at_once / 2) return;
  Request request;
  const std::string own = keys_.inbox(link_->id);
  for (; link_->asked < pops_at_once; ++link_->asked) request.add({"BLPOP", own, "0"});
  link_->inbox->send(request);
}

// --- What is sent --------------------------------------------------------------------------------

void RedisTransport::put(Other& to, remote::Peer peer, Kind kind,
                         std::span<const std::byte> content) {
  std::array<std::byte, head_of_entry> head{};
  std::memcpy(head.data(), link_->id.data(), id_digits_of_side);
  std::memcpy(head.data() + id_digits_of_side, &to.sent, sizeof to.sent);
  head.back() = static_cast<std::byte>(kind);
  ++to.sent;
  const std::string list = keys_.inbox(to.id);
  const std::string_view words[] = {"RPUSH", list};
  const std::span<const std::byte> parts[] = {head, content};
  Request request;
  request.add(words, parts);
  request.add({"PEXPIRE", list, std::to_string(silence.count())});
  if (link_->due.empty()) link_->due_since = Clock::now();
  link_->due.push_back({Link::Due::What::push, peer, content.size()});
  link_->due.push_back({Link::Due::What::expire});
  to.unsent += content.size();
  to.bytes_sent += content.size();
  link_->server.send(request);
}

void RedisTransport::send(remote::Peer to, std::vector<std::byte> message) {
  const std::lock_guard lock(mutex_);
  const auto at = others_.find(to);
  if (at == others_.end()) return;
  active_ = Clock::now();
  guarded([&] { put(at->second, to, Kind::message, message); });
}

std::size_t RedisTransport::unsent(remote::Peer to) const {
  const std::lock_guard lock(mutex_);
  const auto at = others_.find(to);
  if (at == others_.end()) return 0;
  const std::uint64_t under_way = at->second.bytes_sent - at->second.bytes_known;
  return under_way > most_under_way ? static_cast<std::size_t>(under_way) : at->second.unsent;
}

void RedisTransport::drop(remote::Peer peer) {
  const std::lock_guard lock(mutex_);
  const auto at = others_.find(peer);
  if (at == others_.end()) return;
  guarded([&] { put(at->second, peer, Kind::leave, {}); });
  forget(peer, true);
}

/// Signs of life, to the server and to the others, and a look at who else is there.
void RedisTransport::beat(Clock::time_point now) {
  link_->next_beat = now + silence / 4;
  const bool is_master = role_ == Role::master;
  Request request;
  request.add({"EVAL", beat_script, "3", is_master ? keys_.masters() : keys_.hosts(),
               is_master ? keys_.hosts() : keys_.masters(), keys_.inbox(link_->id),
               link_->id + ":" + std::to_string(link_->server.id()),
               std::to_string(silence.count())});
  if (link_->due.empty()) link_->due_since = now;
  link_->due.push_back({Link::Due::What::beat});
  link_->server.send(request);
  for (auto& [peer, other] : others_) {
    if (!other.name.empty()) put(other, peer, Kind::beat, {});
  }
}

/// What the time asks for.
void RedisTransport::tick(Clock::time_point now) {
  if (!link_->due.empty() && now - link_->due_since > url_.timeout) {
    throw TimedOut("the Redis server has been silent for too long");
  }
  if (now >= link_->next_beat) beat(now);
  if (now < link_->next_look || !link_->looked_for.empty()) return;
  link_->next_look = now + between_looks;
  std::vector<std::string> words{"CLIENT", "LIST"};
  const bool by_id = link_->server.version() >= 602;
  if (by_id) words.emplace_back("ID");
  for (const auto& [peer, other] : others_) {
    if (other.connection.empty()) continue;
    link_->looked_for.push_back(peer);
    if (by_id) words.push_back(other.connection);
  }
  if (link_->looked_for.empty()) return;
  const std::vector<std::string_view> views(words.begin(), words.end());
  Request request;
  request.add(views);
  if (link_->due.empty()) link_->due_since = now;
  link_->due.push_back({Link::Due::What::look});
  link_->server.send(request);
}

// --- What comes ----------------------------------------------------------------------------------

/// One that was heard of, who is told that this side is here.
RedisTransport::Other& RedisTransport::meet(const std::string& id, remote::Peer& peer) {
  const auto [at, is_new] = peers_.try_emplace(id, last_peer_ + 1);
  peer = at->second;
  if (!is_new) return others_[peer];
  ++last_peer_;
  Other& other = others_[peer] = Other{.id = id, .heard = Clock::now()};
  const std::string text = std::to_string(link_->server.id()) + " " + name_of_process();
  put(other, peer, Kind::join, std::as_bytes(std::span(text)));
  return other;
}

/// Members of the other side: "<id>:<connection>".
void RedisTransport::take_members(const Reply& members) {
  std::set<std::string> listed;
  for (const Reply& member : members.items) {
    const std::string id = member.text.substr(0, id_digits_of_side);
    if (member.text.size() <= id_digits_of_side + 1) continue;
    if (const auto known = dropped_.find(id); known != dropped_.end()) {
      listed.insert(id);
      // A master that is there after all, for which this host was too slow: as another it is heard.
      if (known->second && role_ == Role::host) throw Error("a master has to be joined again");
      continue;
    }
    remote::Peer peer = 0;
    Other& other = meet(id, peer);
    if (other.connection.empty()) {
      other.connection = member.text.substr(id_digits_of_side + 1);
      link_->next_look = {};
    }
  }
  // Those will not be met again that know they were dropped, and are in the set no more.
  std::erase_if(dropped_,
                [&](const auto& one) { return !one.second && !listed.contains(one.first); });
}

void RedisTransport::take_clients(const std::string& clients) {
  std::vector<remote::Peer> gone;
  for (const remote::Peer peer : std::exchange(link_->looked_for, {})) {
    const auto at = others_.find(peer);
    if (at == others_.end()) continue;
    const std::string line = "id=" + at->second.connection + " ";
    if (clients.starts_with(line) || clients.find("\n" + line) != std::string::npos) continue;
    gone.push_back(peer);
  }
  Request request;
  for (const remote::Peer peer : gone) {
    const Other& other = others_[peer];
    request.add({"DEL", keys_.inbox(other.id), keys_.status(other.id)});
    request.add({"ZREM", role_ == Role::master ? keys_.hosts() : keys_.masters(),
                 other.id + ":" + other.connection});
    for (int i = 0; i < 2; ++i) link_->due.push_back({Link::Due::What::expire});
  }
  if (!gone.empty()) link_->server.send(request);
  // What they said before is in our list, in front of whatever we ask now.
  for (int i = 0; i < most_entries_at_once && link_->inbox->has_input(); ++i) receive();
  for (const remote::Peer peer : gone) lose(peer, "has died, or lost its connection", true);
}

/// The reply to what was sent first. Returns whether a message has arrived on the server.
bool RedisTransport::take_reply() {
  const Reply reply = link_->server.receive();
  const Link::Due due = link_->due.front();
  link_->due.pop_front();
  link_->due_since = Clock::now();
  // Who may not look is told by silence alone.
  if (due.what == Link::Due::What::look && reply.is_error()) {
    link_->looked_for.clear();
    return false;
  }
  link_->server.check(reply);
  if (due.what == Link::Due::What::beat) take_members(reply);
  if (due.what == Link::Due::What::look) take_clients(reply.text);
  const auto at = others_.find(due.peer);
  if (due.what != Link::Due::What::push || at == others_.end()) return false;
  at->second.unsent -= due.bytes;
  return due.bytes > 0;
}

bool RedisTransport::take_replies() {
  bool any = false;
  while (!link_->due.empty() && link_->server.has_input()) any = take_reply() || any;
  return any;
}

void RedisTransport::take_entry(const std::string& entry) {
  if (entry.size() < head_of_entry) return;
  const std::string id = entry.substr(0, id_digits_of_side);
  std::uint64_t number = 0;
  std::memcpy(&number, entry.data() + id_digits_of_side, sizeof number);
  const auto kind = static_cast<Kind>(entry[head_of_entry - 1]);
  const std::string_view content = std::string_view(entry).substr(head_of_entry);
  if (kind == Kind::order) return take_order(content);
  if (dropped_.contains(id) || (kind != Kind::join && !peers_.contains(id))) return;
  remote::Peer peer = 0;
  Other& other = meet(id, peer);
  other.heard = Clock::now();
  if (number != other.received++) return lose(peer, "has said something that never came here");
  if (kind == Kind::join) {
    const auto space = content.find(' ');
    if (!other.name.empty() || space == std::string_view::npos) return;
    other.connection = content.substr(0, space);
    other.name = content.substr(space + 1);
    events_.push_back({Event::What::joined, peer, other.name});
  } else if (kind == Kind::message) {
    other.bytes_received += content.size();
    events_.push_back({Event::What::received, peer, std::string(content)});
    if (other.bytes_received - other.bytes_told < told_each) return;
    other.bytes_told = other.bytes_received;
    put(other, peer, Kind::acknowledgement, bytes_of(other.bytes_received));
  } else if (kind == Kind::acknowledgement && content.size() == sizeof other.bytes_known) {
    std::memcpy(&other.bytes_known, content.data(), sizeof other.bytes_known);
  } else if (kind == Kind::leave) {
    lose(peer, "has left", true);
  }
}

bool RedisTransport::receive() {
  if (!link_->inbox->has_input()) return false;
  const Reply reply = link_->inbox->receive();
  link_->inbox->check(reply);
  --link_->asked;
  ask_for_more();
  if (reply.items.size() == 2) take_entry(reply.items[1].text);
  return true;
}

/// As much as is taken at a time, or all there is: then those are lost who have said nothing for
/// long. Returns whether there was anything.
bool RedisTransport::receive_all() {
  int received = 0;
  while (received < most_entries_at_once && receive()) ++received;
  if (received < most_entries_at_once) lose_silent(Clock::now());
  return received > 0;
}

void RedisTransport::lose_silent(Clock::time_point now) {
  std::vector<remote::Peer> silent;
  for (const auto& [peer, other] : others_) {
    if (now - other.heard > silence) silent.push_back(peer);
  }
  for (const remote::Peer peer : silent) lose(peer, "has not been heard of for ten seconds");
}

bool RedisTransport::poll(Events& events) {
  std::deque<Event> happened;
  bool any = false;
  {
    const std::lock_guard lock(mutex_);
    start_thread();
    is_watched_ = false;
    guarded([&] {
      receive_all();
      any = take_replies();
      tick(Clock::now());
    });
    happened.swap(events_);
    any = any || !happened.empty();
    if (any) active_ = Clock::now();
  }
  for (const Event& event : happened) {
    if (event.what == Event::What::joined) events.joined(event.peer, event.text);
    if (event.what == Event::What::lost) events.lost(event.peer, event.text);
    if (event.what == Event::What::received) {
      events.received(event.peer, std::as_bytes(std::span(event.text)));
    }
  }
  return any;
}

bool RedisTransport::is_complete() const {
  const std::lock_guard lock(mutex_);
  return events_.empty() && !others_.empty() &&
         std::ranges::none_of(others_, [](const auto& one) { return one.second.name.empty(); });
}

}  // namespace hoist::detail::redis
