// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/detail/envelope.hpp>
#include <hoist/detail/managed.hpp>
#include <hoist/error.hpp>

#include <map>
#include <new>
#include <random>
#include <utility>
#include <vector>

#include "managers/link_state.hpp"

namespace hoist::detail {

namespace managers {

namespace {

[[noreturn]] void throw_died() {
  throw ManagerDied("the server of the manager has ended, and its objects are gone");
}

/// The connections of a thread, by the number of the server.
using Connections = std::map<std::uint64_t, std::shared_ptr<Connection>>;

// Plain, as they are used also when the thread's other objects have been destroyed.
constinit thread_local Connections* connections = nullptr;
constinit thread_local bool thread_ends = false;

struct CloseConnections {
  ~CloseConnections() {
    thread_ends = true;
    delete std::exchange(connections, nullptr);
  }
};

std::shared_ptr<Connection> connect(const ManagerLink& link) {
  const os::ProcessId server = state_of(link).server.load();
  if (server == 0 || !os::is_running(server)) throw_died();
  auto [own, other] = ConnectionHandle::make(true, std::size_t{16} << 20);
  MessageRoom room;
  room.encoder().scalar(os::own_process());
  HandleParts<ConnectionHandle>::send(room.encoder(), other);
  try {
    link.clients().put(room, Deadline::max());
  } catch (const Closed&) {
    throw_died();
  }
  return std::make_shared<Connection>(std::move(own), server);
}

/// The calling thread's connection to the server.
std::shared_ptr<Connection> connection_to(const ManagerLink& link) {
  if (thread_ends) return connect(link);
  static thread_local const CloseConnections close;
  static_cast<void>(close);
  if (connections == nullptr) connections = new Connections;
  auto& known = (*connections)[state_of(link).number];
  // What a forked child has inherited is its parent's.
  if (known == nullptr || !known->is_own()) known = connect(link);
  return known;
}

}  // namespace

}  // namespace managers

using namespace managers;

ManagerLink::ManagerLink()
    : SharedHandle(SharedBlock::make("hoist-manager", sizeof(LinkState))),
      clients_(QueueLimits{.max_bytes = std::size_t{1} << 20}) {
  auto* const state = new (block().data()) LinkState;
  std::random_device random;
  state->number = std::uint64_t{random()} << 32 | random();
}

Exchange::Exchange(const ManagerLink& link, Kind kind, std::uint64_t object, const void* code)
    : connection_(connection_to(link)) {
  Encoder& to = room_.encoder();
  to.scalar(kind);
  to.scalar(object);
  if (code != nullptr) encode_code(to, code);
}

void Exchange::post() {
  try {
    connection_->send(room_);
  } catch (const EndOfStream&) {
    throw_died();
  }
}

Decoder& Exchange::reply() {
  post();
  try {
    connection_->receive(room_);
  } catch (const EndOfStream&) {
    throw_died();
  }
  Decoder& decoder = decoder_.emplace(room_.source());
  bool failed = false;
  Form<bool>::traverse(decoder, failed);
  if (failed) {
    std::vector<std::byte> error;
    Form<std::vector<std::byte>>::traverse(decoder, error);
    std::rethrow_exception(unpack_error(error));
  }
  return decoder;
}

ManagedReference::ManagedReference(ManagerLink link, std::uint64_t object)
    : link_(std::move(link)), object_(object), process_(os::own_process()) {}

std::uint64_t ManagedReference::object() {
  const os::ProcessId own = os::own_process();
  if (process_.load() != own) {
    if (!is_served_here(link_)) Exchange(link_, Exchange::Kind::retain, object_).reply();
    process_.store(own);
  }
  return object_;
}

ManagedReference::~ManagedReference() {
  if (process_.load() != os::own_process()) return;
  try {
    if (is_served_here(link_)) {
      release_here(object_);
    } else {
      Exchange(link_, Exchange::Kind::release, object_).post();
    }
  } catch (...) {
    // The server has ended, or will find out when this process has.
  }
}

ProxyHandle ProxyHandle::receive(ManagerLink link, std::uint64_t object) {
  if (is_served_here(link)) {
    retain_here(object);
  } else {
    Exchange(link, Exchange::Kind::retain, object).reply();
  }
  return ProxyHandle(std::make_shared<ManagedReference>(std::move(link), object));
}

ManagedReference& ProxyHandle::reference() const {
  if (reference_ == nullptr) throw BadArgument("this proxy is of no object");
  return *reference_;
}

std::uint64_t ProxyHandle::lend() const {
  const std::uint64_t object = reference().object();
  if (is_served_here(reference().link())) {
    lend_here(object);
  } else {
    Exchange(reference().link(), Exchange::Kind::lend, object).reply();
  }
  return object;
}

}  // namespace hoist::detail
