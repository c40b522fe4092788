// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/detail/envelope.hpp>
#include <hoist/manager.hpp>
#include <hoist/process.hpp>

#include <csignal>
#include <map>
#include <mutex>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "managers/link_state.hpp"
#include "os/own_thread.hpp"
#include "program/stack_trace.hpp"

namespace hoist {

namespace detail {

namespace managers {

namespace {

using Clock = std::chrono::steady_clock;

/// An object waits so long for the process that a proxy of it was sent to.
constexpr auto lent_for = std::chrono::minutes(1);
/// Dead clients are looked for this often.
constexpr auto look_interval = std::chrono::seconds(1);

/// An object of this server.
struct Managed {
  std::shared_ptr<void> object;
  std::mutex mutex;  // of who calls it
  std::map<os::ProcessId, std::uint64_t> references;
  Clock::time_point lent_until{};

  bool is_needed(Clock::time_point now) const { return !references.empty() || now < lent_until; }
};

/// The objects of this server. What is removed is destroyed without the mutex: it may hold proxies
/// of others.
class Objects {
 public:
  std::uint64_t add(std::shared_ptr<void> object, os::ProcessId client) {
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

  void retain(std::uint64_t number, os::ProcessId client) {
    const std::lock_guard lock(mutex_);
    ++found(number)->references[client];
  }

  void lend(std::uint64_t number) {
    const std::lock_guard lock(mutex_);
    found(number)->lent_until = Clock::now() + lent_for;
  }

  void release(std::uint64_t number, os::ProcessId client) {
    std::shared_ptr<Managed> removed;
    const std::lock_guard lock(mutex_);
    const auto at = all_.find(number);
    if (at == all_.end()) return;
    auto& references = at->second->references;
    const auto own = references.find(client);
    if (own != references.end() && --own->second == 0) references.erase(own);
    if (!at->second->is_needed(Clock::now())) removed = take(at);
  }

  /// Drops the references of dead processes, and what nobody needs any more.
  void sweep() {
    std::vector<std::shared_ptr<Managed>> removed;
    const std::lock_guard lock(mutex_);
    std::map<os::ProcessId, bool> runs;
    const auto now = Clock::now();
    for (auto at = all_.begin(); at != all_.end();) {
      std::erase_if(at->second->references, [&](const auto& one) {
        const auto [known, is_new] = runs.try_emplace(one.first, true);
        if (is_new) known->second = os::is_running(one.first);
        return !known->second;
      });
      const auto it = at++;
      if (!it->second->is_needed(now)) removed.push_back(take(it));
    }
  }

 private:
  using All = std::map<std::uint64_t, std::shared_ptr<Managed>>;

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
  std::uint64_t last_ = 0;
};

/// Of the server that this process is.
struct Server {
  std::uint64_t number = 0;
  Objects objects;
};
constinit std::atomic<Server*> server_here{nullptr};

Objects& objects_here() { return server_here.load()->objects; }

/// The answer to a call, sent while what it refers to is still there.
class CallReply final : public Reply {
 public:
  explicit CallReply(const Connection& client) : client_(client) {
    encoder().set_for_any_process();
    encoder().scalar(false);
  }
  void finish() override {
    MessageRoom room;
    client_.send(room, encoder());
  }

 private:
  const Connection& client_;
};

/// One client, which has one request at a time.
class Service {
 public:
  Service(const Connection& client, os::ProcessId process) : client_(client), process_(process) {}

  /// Throws EndOfStream when the client has gone.
  void run() {
    const program::RecordThrows record;
    for (;;) {
      MessageRoom room;
      client_.receive(room);
      bool has_reply = true;
      try {
        Decoder from(room.source());
        has_reply = handle(from);
      } catch (const EndOfStream&) {
        if (client_.are_gone()) throw;
        fail(std::current_exception());
      } catch (...) {
        if (has_reply) fail(std::current_exception());
      }
    }
  }

 private:
  bool handle(Decoder& from) {
    Exchange::Kind kind{};
    std::uint64_t number = 0;
    from.scalar(kind);
    from.scalar(number);
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
        call(managed->object.get(), from, reply);
        return true;  // it has sent the reply
      }
      case Exchange::Kind::retain: objects_here().retain(number, process_); break;
      case Exchange::Kind::release: objects_here().release(number, process_); return false;
      case Exchange::Kind::lend: objects_here().lend(number); break;
      default: Decoder::throw_damaged();
    }
    reply.finish();
    return true;
  }

  void fail(const std::exception_ptr& error) {
    MessageRoom room;
    Encoder& to = room.encoder();
    to.scalar(true);
    const std::vector<std::byte> packed = pack_error(error);
    Form<std::vector<std::byte>>::traverse(to, packed);
    client_.send(room);
  }

  const Connection& client_;
  const os::ProcessId process_;
};

void serve_client(MessageRoom& announcement) {
  Decoder from(announcement.source());
  os::ProcessId process = 0;
  from.scalar(process);
  const auto connection =
      std::make_shared<Connection>(HandleParts<ConnectionHandle>::receive(from), process);
  os::start_own_thread("hoist-client", [connection, process] {
    try {
      Service(*connection, process).run();
    } catch (...) {
      // The client has gone, or there is no memory for what it asks.
    }
  });
}

void start_server(const ManagerLink& link, const Event& ready) {
  std::signal(SIGINT, SIG_IGN);  // Ctrl-C is for the program, which ends its manager
  auto* const server = new Server;
  server->number = state_of(link).number;
  server_here.store(server);
  state_of(link).server.store(os::own_process());
  ready.set();
  serve(link);
}

}  // namespace

bool is_served_here(const ManagerLink& link) {
  const Server* const server = server_here.load();
  return server != nullptr && server->number == state_of(link).number &&
         state_of(link).server.load() == os::own_process();
}

void retain_here(std::uint64_t object) { objects_here().retain(object, os::own_process()); }
void release_here(std::uint64_t object) { objects_here().release(object, os::own_process()); }
void lend_here(std::uint64_t object) { objects_here().lend(object); }

void serve(const ManagerLink& link) {
  for (auto swept = Clock::now();;) {
    try {
      MessageRoom announcement;
      if (link.clients().get(announcement, Clock::now() + look_interval))
        serve_client(announcement);
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
  Process process;

  explicit ManagerServer(const Event& ready)
      : process(
            ProcessOptions{.name = "Manager", .daemon = true, .start_method = StartMethod::spawn},
            &managers::start_server, link, ready) {}
};

}  // namespace detail

Manager::Manager() {
  const Event ready;
  server_ = std::make_unique<detail::ManagerServer>(ready);
  server_->process.start();
  while (!ready.wait(std::chrono::milliseconds(100))) {
    if (!server_->process.is_alive()) {
      throw ManagerDied("the server of a manager has ended before it was ready (exit code " +
                        std::to_string(server_->process.exitcode().value_or(0)) + ")");
    }
  }
}

Manager::Manager(Manager&&) noexcept = default;

Manager& Manager::operator=(Manager&& other) noexcept {
  std::swap(server_, other.server_);
  return *this;
}

Manager::~Manager() { shutdown(); }

void Manager::shutdown() noexcept {
  if (server_ == nullptr) return;
  try {
    server_->link.clients().close();
    if (!server_->process.join(std::chrono::seconds(5))) server_->process.kill();
  } catch (const std::exception&) {
    // A forked child's copy, whose server is not its own.
  }
  server_.reset();
}

int Manager::pid() const { return server_ != nullptr ? server_->process.pid() : 0; }

const detail::ManagerLink& Manager::link() const {
  if (server_ == nullptr) throw BadArgument("this manager has been shut down, or moved from");
  return server_->link;
}

}  // namespace hoist
