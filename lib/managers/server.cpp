// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/detail/envelope.hpp>
#include <hoist/listener.hpp>
#include <hoist/manager.hpp>
#include <hoist/process.hpp>

#include <algorithm>
#include <csignal>
#include <exception>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "managers/line.hpp"
#include "os/own_thread.hpp"
#include "os/process_end.hpp"
#include "program/stack_trace.hpp"

namespace hoist {

namespace detail {

namespace managers {

namespace {

using Clock = std::chrono::steady_clock;

/// An object waits so long for the process that a proxy of it was sent to.
constexpr auto lent_for = std::chrono::minutes(1);
/// And so long for a client by the address that has lost its connection.
constexpr auto time_to_reconnect = std::chrono::seconds(3);
/// Dead clients are looked for this often.
constexpr auto look_interval = std::chrono::seconds(1);

/// An object of this server.
struct Managed {
  std::shared_ptr<void> object;
  std::mutex mutex;  // of who calls it
  std::map<Client, std::uint64_t> references;
  Clock::time_point lent_until{};

  bool is_needed(Clock::time_point now) const { return !references.empty() || now < lent_until; }
};

/// The objects of this server. What is removed is destroyed without the mutex: it may hold proxies
/// of others.
class Objects {
 public:
  std::uint64_t add(std::shared_ptr<void> object, Client client) {
    auto managed = std::make_shared<Managed>();
    managed->object = std::move(object);
    managed->references[client] = 1;
    const std::lock_guard lock(mutex_);
    all_.emplace(++last_, std::move(managed));
    return last_;
  }

  std::shared_ptr<Managed> find(std::uint64_t number) {
    const std::lock_guard lock(mutex_);
    return found(number);
  }

  void retain(std::uint64_t number, Client client) {
    const std::lock_guard lock(mutex_);
    ++found(number)->references[client];
  }

  void lend(std::uint64_t number) {
    const std::lock_guard lock(mutex_);
    found(number)->lent_until = Clock::now() + lent_for;
  }

  void release(std::uint64_t number, Client client) {
    std::shared_ptr<Managed> removed;
    const std::lock_guard lock(mutex_);
    const auto at = all_.find(number);
    if (at == all_.end()) return;
    auto& references = at->second->references;
    const auto own = references.find(client);
    if (own != references.end() && --own->second == 0) references.erase(own);
    if (!at->second->is_needed(Clock::now())) removed = take(at);
  }

  /// A client by the address has another connection, or one less.
  void connected(Client client, int change) {
    const std::lock_guard lock(mutex_);
    Remote& remote = remote_[client.number];
    remote.connections += change;
    remote.seen = Clock::now();
  }

  /// Drops the references of dead processes, and what nobody needs any more.
  void sweep() {
    std::vector<std::shared_ptr<Managed>> removed;
    const std::lock_guard lock(mutex_);
    std::map<Client, bool> runs;
    const auto now = Clock::now();
    for (auto at = all_.begin(); at != all_.end();) {
      std::erase_if(at->second->references, [&](const auto& one) {
        const auto [known, is_new] = runs.try_emplace(one.first, true);
        if (is_new) known->second = is_there(one.first, now);
        return !known->second;
      });
      const auto it = at++;
      if (!it->second->is_needed(now)) removed.push_back(take(it));
    }
    std::erase_if(remote_, [&](const auto& one) { return !is_there({true, one.first}, now); });
  }

 private:
  using All = std::map<std::uint64_t, std::shared_ptr<Managed>>;

  /// A client by the address.
  struct Remote {
    int connections = 0;
    Clock::time_point seen;  // when it connected or ended a connection
  };

  /// Those by the address are there as long as they have a connection, and a while for another.
  bool is_there(Client client, Clock::time_point now) const {
    if (!client.is_remote) return os::is_running(client.number);
    const auto at = remote_.find(client.number);
    return at != remote_.end() &&
           (at->second.connections > 0 || now - at->second.seen < time_to_reconnect);
  }

  const std::shared_ptr<Managed>& found(std::uint64_t number) {
    const auto at = all_.find(number);
    if (at == all_.end()) {
      throw NotFound("the managed object is no more: nobody had a proxy of it for a minute");
    }
    return at->second;
  }
  std::shared_ptr<Managed> take(All::iterator at) {
    auto managed = std::move(at->second);
    all_.erase(at);
    return managed;
  }

  std::mutex mutex_;
  All all_;
  std::map<std::uint64_t, Remote> remote_;
  std::uint64_t last_ = 0;
};

/// Of the server that this process is.
struct Server {
  explicit Server(ManagerLink own) : link(std::move(own)) {}

  const ManagerLink link;
  Objects objects;
};
constinit std::atomic<Server*> server_here{nullptr};

Objects& objects_here() { return server_here.load()->objects; }

constinit thread_local std::uint64_t called_here = 0;

struct Called {
  explicit Called(std::uint64_t object) { called_here = object; }
  Called(const Called&) = delete;
  Called& operator=(const Called&) = delete;
  ~Called() { called_here = 0; }
};

/// The answer to a call, sent while what it refers to is still there.
class CallReply final : public Reply {
 public:
  explicit CallReply(Line& client) : client_(client), out_(client.leads_out()) {
    encoder().set_for_any_process();
    encoder().scalar(false);
  }
  void finish() override {
    MessageRoom room;
    client_.send(room, encoder());
  }

 private:
  Line& client_;
  const SendingOut out_;
};

/// One client, which has one request at a time.
class Service {
 public:
  Service(Line& line, Client client) : client_(line), process_(client) {}

  /// Throws EndOfStream when the client has gone.
  void run() {
    const program::RecordThrows record;
    for (;;) {
      MessageRoom room;
      try {
        Decoder from(client_.receive(room));
        handle(from);
      } catch (const EndOfStream&) {
        if (client_.is_over()) throw;
        fail(std::current_exception());
      } catch (...) {
        fail(std::current_exception());
      }
    }
  }

 private:
  void handle(Decoder& from) {
    Exchange::Kind kind{};
    std::uint64_t number = 0;
    from.scalar(kind);
    from.scalar(number);
    if (kind == Exchange::Kind::release) return objects_here().release(number, process_);
    CallReply reply(client_);
    switch (kind) {
      case Exchange::Kind::make: {
        const auto make = reinterpret_cast<MakeManaged>(const_cast<void*>(decode_code(from)));
        reply.encoder().scalar(objects_here().add(make(from), process_));
        break;
      }
      case Exchange::Kind::call: {
        const auto call = reinterpret_cast<CallManaged>(const_cast<void*>(decode_code(from)));
        const std::shared_ptr<Managed> managed = objects_here().find(number);
        const std::lock_guard calling(managed->mutex);
        const Called called(number);
        call(managed->object.get(), from, reply);
        return;  // it has sent the reply
      }
      case Exchange::Kind::retain: objects_here().retain(number, process_); break;
      case Exchange::Kind::lend: objects_here().lend(number); break;
      default: Decoder::throw_damaged();
    }
    reply.finish();
  }

  void fail(const std::exception_ptr& error) {
    MessageRoom room;
    Encoder& to = room.encoder();
    to.scalar(true);
    const std::vector<std::byte> packed = pack_error(error);
    Form<std::vector<std::byte>>::traverse(to, packed);
    client_.send(room, to);
  }

  Line& client_;
  const Client process_;
};

void serve_by_pipe(MessageRoom& announcement) {
  Decoder from(announcement.source());
  os::ProcessId process = 0;
  from.scalar(process);
  const auto line =
      std::make_shared<PipeLine>(HandleParts<ConnectionHandle>::receive(from), process);
  os::start_own_thread("hoist-client", [line, process] {
    try {
      Service(*line, {.number = process}).run();
    } catch (...) {
      // The client has gone, or there is no memory for what it asks.
    }
  });
}

void serve_by_socket(SocketLine& line) {
  MessageRoom room;
  Decoder from(line.receive(room));
  Client client{.is_remote = true};
  from.scalar(client.number);
  room.encoder().scalar(server_here.load()->link.number());
  line.send(room, room.encoder());
  if (client.number == 0) return;  // it only asked for that
  objects_here().connected(client, 1);
  try {
    Service(line, client).run();
  } catch (...) {
    objects_here().connected(client, -1);
  }
}

/// Accepts clients by the address, for ever.
void accept_clients(const Listener& listener) {
  for (;;) {
    try {
      const auto line = std::make_shared<SocketLine>(listener.accept<int>());
      os::start_own_thread("hoist-client", [line] {
        try {
          serve_by_socket(*line);
        } catch (...) {
          // It is no client.
        }
      });
    } catch (const Closed&) {
      return;
    } catch (const std::exception&) {
      // Somebody without the key, or without room for one more.
    }
  }
}

/// Makes the server listen, if it is to; the address is in the link from then on.
void listen(LinkState& state, const ManagerOptions& options) {
  if (options.address.empty()) return;
  auto& listener = *new Listener(options.address, {.authkey = options.authkey});
  const std::string address = listener.address();
  if (address.size() >= state.address.size()) throw BadArgument("the address is too long");
  std::ranges::copy(address, state.address.begin());
  os::start_own_thread("hoist-listener", [&listener] { accept_clients(listener); });
  static Listener* closed_at_end = nullptr;
  closed_at_end = &listener;
  os::at_process_end([] { closed_at_end->close(); });
}

void start_server(const ManagerLink& link, const ManagerOptions& options, const Event& ready) {
  std::signal(SIGINT, SIG_IGN);  // Ctrl-C is for the program, which ends its manager
  LinkState& state = state_of(link);
  server_here.store(new Server(link));
  try {
    listen(state, options);
  } catch (...) {
    const auto error = pack_error(std::current_exception());
    state.failure_bytes = std::min(error.size(), state.failure.size());
    std::copy_n(error.begin(), state.failure_bytes, state.failure.begin());
    ready.set();
    return;
  }
  state.server.store(os::own_process());
  ready.set();
  serve(link);
}

}  // namespace

const ManagerLink* link_served_here(std::uint64_t number) {
  const Server* const server = server_here.load();
  const bool is_here = server != nullptr && server->link.number() == number &&
                       state_of(server->link).server.load() == os::own_process();
  return is_here ? &server->link : nullptr;
}

bool is_served_here(const ManagerLink& link) { return link_served_here(link.number()) != nullptr; }

std::uint64_t object_called_here() { return called_here; }

void retain_here(std::uint64_t object) {
  objects_here().retain(object, {.number = os::own_process()});
}
void release_here(std::uint64_t object) {
  objects_here().release(object, {.number = os::own_process()});
}
void lend_here(std::uint64_t object) { objects_here().lend(object); }

void serve(const ManagerLink& link) {
  for (auto swept = Clock::now();;) {
    try {
      MessageRoom announcement;
      if (link.clients().get(announcement, Clock::now() + look_interval))
        serve_by_pipe(announcement);
    } catch (const Closed&) {
      return;
    } catch (const std::exception&) {
      // That client gets no answer; others do.
    }
    if (Clock::now() - swept < look_interval) continue;
    objects_here().sweep();
    swept = Clock::now();
  }
}

}  // namespace managers

struct ManagerServer {
  ManagerLink link;
  std::optional<Process> process;  // none where it is another's
};

}  // namespace detail

Manager::Manager(const ManagerOptions& options)
    : server_(std::make_unique<detail::ManagerServer>()) {
  const Event ready;
  server_->process.emplace(
      ProcessOptions{.name = "Manager", .daemon = true, .start_method = StartMethod::spawn},
      &detail::managers::start_server, server_->link, options, ready);
  server_->process->start();
  while (!ready.wait(std::chrono::milliseconds(100))) {
    if (!server_->process->is_alive()) {
      throw ManagerDied("the server of a manager has ended before it was ready (exit code " +
                        std::to_string(server_->process->exitcode().value_or(0)) + ")");
    }
  }
  const auto& state = detail::managers::state_of(server_->link);
  if (state.failure_bytes > 0) {
    std::rethrow_exception(
        detail::unpack_error(std::span(state.failure).first(state.failure_bytes)));
  }
}

Manager::Manager(std::unique_ptr<detail::ManagerServer> server) noexcept
    : server_(std::move(server)) {}

Manager Manager::connect(const ManagerOptions& options) {
  return Manager(std::make_unique<detail::ManagerServer>(detail::ManagerServer{
      detail::managers::link_to(options.address, options.authkey, options.timeout), std::nullopt}));
}

std::string Manager::address() const { return link().address(); }

Manager::Manager(Manager&&) noexcept = default;

Manager& Manager::operator=(Manager&& other) noexcept {
  std::swap(server_, other.server_);
  return *this;
}

Manager::~Manager() { shutdown(); }

void Manager::shutdown() noexcept {
  if (server_ == nullptr) return;
  try {
    // A forked child's copy, whose server is not its own, throws here.
    if (server_->process && server_->process->is_alive()) {
      server_->link.clients().close();
      if (!server_->process->join(std::chrono::seconds(5))) server_->process->kill();
    }
  } catch (const std::exception&) {
    // It ends with this process.
  }
  server_.reset();
}

int Manager::pid() const {
  return server_ != nullptr && server_->process ? server_->process->pid() : 0;
}

const detail::ManagerLink& Manager::link() const {
  if (server_ == nullptr) throw BadArgument("this manager has been shut down, or moved from");
  return server_->link;
}

}  // namespace hoist
