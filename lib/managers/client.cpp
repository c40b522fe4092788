// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/detail/envelope.hpp>
#include <hoist/detail/managed.hpp>
#include <hoist/error.hpp>

#include <map>
#include <mutex>
#include <new>
#include <random>
#include <utility>
#include <vector>

#include "managers/line.hpp"
#include "managers/turns.hpp"
#include "os/fork_hook.hpp"

namespace hoist::detail {

namespace managers {

namespace {

[[noreturn]] void throw_died() {
  throw ManagerDied("the server of the manager has ended, and its objects are gone");
}

/// When the other end of a line is gone.
[[noreturn]] void throw_lost(const ManagerLink& link) {
  if (link.is_remote() || !os::is_running(state_of(link).server.load())) throw_died();
  throw ManagerDied(
      "the server of the manager has ended, or has no descriptor left for one more thread that "
      "calls it (ulimit -n)");
}

/// The connections of a thread, by the number of the server.
using Lines = std::map<std::uint64_t, std::shared_ptr<Line>>;

// Plain, as they are used also when the thread's other objects have been destroyed.
constinit thread_local Lines* lines_here = nullptr;
constinit thread_local bool thread_ends = false;
constinit thread_local bool sending_out = false;

struct CloseLines {
  ~CloseLines() {
    thread_ends = true;
    delete std::exchange(lines_here, nullptr);
  }
};

/// A server, as long as it lives.
class ServerLife final : public Peers {
 public:
  explicit ServerLife(os::ProcessId server) : server_(server) { look(); }
  bool are_gone() const override { return is_gone_.load(); }
  void look() const override {
    if (server_ == 0 || !os::is_running(server_)) is_gone_.store(true);
  }

 private:
  const os::ProcessId server_;
  mutable std::atomic<bool> is_gone_{false};
};

std::shared_ptr<Line> connect_by_pipe(const ManagerLink& link) {
  const os::ProcessId server = state_of(link).server.load();
  const ServerLife life(server);
  if (life.are_gone()) throw_died();
  auto [own, other] = ConnectionHandle::make(true, std::size_t{16} << 20);
  MessageRoom room;
  room.encoder().scalar(os::own_process());
  HandleParts<ConnectionHandle>::send(room.encoder(), other);
  try {
    link.clients().put(room, Deadline::max(), &life);
  } catch (const Closed&) {
    throw_died();
  } catch (const EndOfStream&) {
    throw_died();
  }
  return std::make_shared<PipeLine>(std::move(own), server);
}

std::shared_ptr<Line> connect(const ManagerLink& link) {
  return link.is_remote() ? connect_by_socket(link) : connect_by_pipe(link);
}

/// The server has a thread for each, which does for this thread what only one and the same thread
/// can: release a lock that it has taken.
std::shared_ptr<Line> line_to(const ManagerLink& link) {
  if (thread_ends) return connect(link);
  static thread_local const CloseLines close;
  static_cast<void>(close);
  if (lines_here == nullptr) lines_here = new Lines;
  const auto known = lines_here->find(link.number());
  // What a forked child has inherited is its parent's.
  if (known != lines_here->end() && known->second->is_own() && !known->second->is_over()) {
    return known->second;
  }
  // Each has descriptors, and no event tells a thread that a server it has used has ended.
  std::erase_if(*lines_here,
                [](const auto& one) { return !one.second->is_own() || one.second->has_ended(); });
  auto line = connect(link);
  lines_here->insert_or_assign(link.number(), line);
  return line;
}

/// The keys for servers that this process has had a link to: a link that comes from a server brings
/// none.
struct Keys {
  std::mutex mutex;
  std::map<std::uint64_t, std::optional<std::string>> by_server;
  os::ForkHook fork_hook{mutex};
};

Keys& keys() {
  static auto* const all = new Keys;
  return *all;
}

}  // namespace

std::uint64_t random_number() {
  std::random_device random;
  return std::uint64_t{random()} << 32 | random();
}

SendingOut::SendingOut(bool out) noexcept : before_(std::exchange(sending_out, out)) {}
SendingOut::~SendingOut() { sending_out = before_; }

}  // namespace managers

using namespace managers;

ManagerLink::ManagerLink()
    : SharedHandle(SharedBlock::make("hoist-manager", sizeof(LinkState))),
      clients_(QueueLimits{.max_bytes = std::size_t{1} << 20}),
      number_(random_number()) {
  new (block().data()) LinkState{.number = number_};
}

ManagerLink::ManagerLink(SharedBlock block, MessageQueue clients)
    : SharedHandle(std::move(block)), clients_(std::move(clients)) {
  number_ = state_of(*this).number;
}

ManagerLink::ManagerLink(std::string address, std::optional<std::string> authkey,
                         std::uint64_t number)
    : SharedHandle(SharedBlock(BlockTag(), nullptr)),
      address_(std::move(address)),
      authkey_(std::move(authkey)),
      number_(number) {
  const std::lock_guard lock(keys().mutex);
  auto& known = keys().by_server[number_];
  if (authkey_) known = authkey_;
  if (!authkey_) authkey_ = known;
}

std::string ManagerLink::address() const {
  return is_remote() ? address_ : std::string(state_of(*this).address.data());
}

void ManagerLink::send(Encoder& encoder, const ManagerLink& link) {
  const bool by_address = sending_out || link.is_remote();
  encoder.scalar(by_address);
  if (!by_address) {
    SharedBlock::send(encoder, link.block());
    HandleParts<MessageQueue>::send(encoder, link.clients());
    return;
  }
  const std::string address = link.address();
  if (address.empty()) {
    throw CannotTravel(
        "a proxy of a manager without an address can't be sent to a process that shares no memory "
        "with this one");
  }
  Form<std::string>::traverse(encoder, address);
  encoder.scalar(link.number());
  // Who gets it from the server has the key.
  const std::optional<std::string> key = sending_out ? std::nullopt : link.authkey();
  Form<std::optional<std::string>>::traverse(encoder, key);
}

ManagerLink ManagerLink::receive(Decoder& decoder) {
  bool by_address = false;
  Form<bool>::traverse(decoder, by_address);
  if (!by_address) {
    SharedBlock block = SharedBlock::receive(decoder);
    return {std::move(block), HandleParts<MessageQueue>::receive(decoder)};
  }
  std::string address;
  std::uint64_t number = 0;
  std::optional<std::string> authkey;
  Form<std::string>::traverse(decoder, address);
  decoder.scalar(number);
  Form<std::optional<std::string>>::traverse(decoder, authkey);
  if (const ManagerLink* const own = link_served_here(number)) return *own;
  return {std::move(address), std::move(authkey), number};
}

Exchange::Exchange(const ManagerLink& link, Kind kind, std::uint64_t object, const void* code)
    : link_(link), line_(line_to(link)) {
  Encoder& to = room_.encoder();
  to.scalar(kind);
  to.scalar(object);
  to.scalar(chain_here());
  if (code != nullptr) encode_code(to, code);
  sent_out_before_ = std::exchange(sending_out, line_->leads_out());
}

Exchange::~Exchange() {
  sending_out = sent_out_before_;
  if (!is_done_ && lines_here != nullptr) lines_here->erase(link_.number());  // a reply may come
}

void Exchange::post() {
  is_done_ = false;
  try {
    line_->send(room_, room_.encoder());
  } catch (const EndOfStream&) {
    throw_lost(link_);
  } catch (const CannotTravel&) {
    is_done_ = true;  // nothing was sent
    throw;
  }
  is_done_ = true;
}

Decoder& Exchange::reply() {
  post();
  is_done_ = false;
  try {
    source_ = line_->receive(room_);
    decoder_.emplace(*source_);
  } catch (const EndOfStream&) {
    throw_lost(link_);
  }
  is_done_ = true;
  bool failed = false;
  Form<bool>::traverse(*decoder_, failed);
  if (failed) {
    std::vector<std::byte> error;
    Form<std::vector<std::byte>>::traverse(*decoder_, error);
    std::rethrow_exception(unpack_error(error));
  }
  return *decoder_;
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
