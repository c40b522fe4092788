// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/detail/envelope.hpp>
#include <hoist/listener.hpp>
#include <hoist/manager.hpp>
#include <hoist/outcome.hpp>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <exception>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "managers/agents.hpp"
#include "managers/line.hpp"
#include "managers/objects.hpp"
#include "os/kept_fd.hpp"
#include "os/own_thread.hpp"
#include "os/process_end.hpp"
#include "processes/own_process.hpp"
#include "program/stack_trace.hpp"

namespace hoist::detail::managers {

namespace {

using Clock = std::chrono::steady_clock;

/// Dead clients are looked for this often.
constexpr auto look_interval = std::chrono::seconds(1);

/// Of the server that this process is.
struct Server {
  explicit Server(ManagerLink own) : link(std::move(own)) {}

  const ManagerLink link;
  Objects objects;
  Agents agents;
};
constinit std::atomic<Server*> server_here{nullptr};

Objects& objects_here() { return server_here.load()->objects; }

/// The client whose calls this thread runs.
struct Caller {
  Client client;
  std::uint64_t object = 0;  // that it calls
  std::shared_ptr<Agent> known_agent = nullptr;

  Agent& agent() {
    if (known_agent == nullptr) known_agent = server_here.load()->agents.find(client);
    return *known_agent;
  }
};
constinit thread_local Caller* caller_here = nullptr;

/// The answer to a call, sent while what it refers to is still there.
class CallReply final : public Reply {
 public:
  explicit CallReply(Line& client) : client_(client) {
    Reply::encoder().set_for_any_process();
    Reply::encoder().scalar(false);
  }
  /// What the function that is called sends is for others: only the result goes to the client.
  Encoder& encoder() noexcept override {
    if (!out_) out_.emplace(client_.leads_out());
    return Reply::encoder();
  }
  void finish() override {
    MessageRoom room;
    client_.send(room, encoder());
  }

 private:
  Line& client_;
  std::optional<SendingOut> out_;
};

/// One client, which has one request at a time.
class Service {
 public:
  Service(Line& line, Client client) : client_(line), caller_{client} { caller_here = &caller_; }
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;
  ~Service() { caller_here = nullptr; }

  /// Throws EndOfStream when the client has gone.
  void run() {
    const program::RecordThrows record;
    for (;;) {
      MessageRoom room;
      try {
        const auto source = client_.receive(room);
        Decoder from(*source);
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
    Chain chain = 0;
    from.scalar(kind);
    from.scalar(number);
    from.scalar(chain);
    if (kind == Exchange::Kind::release) return release(number);
    CallReply reply(client_);
    switch (kind) {
      case Exchange::Kind::make: {
        const auto make = reinterpret_cast<MakeManaged>(const_cast<void*>(decode_code(from)));
        const std::uint64_t made = objects_here().add(make(from), caller_.client);
        reply.encoder().scalar(made);
        break;
      }
      case Exchange::Kind::call: {
        const auto call = reinterpret_cast<CallManaged>(const_cast<void*>(decode_code(from)));
        const std::shared_ptr<Managed> managed = objects_here().find(number);
        const TakenTurn turn(managed->turn, is_own_call() && chain != 0 ? chain : new_chain());
        call(managed->object.get(), from, reply);
        return;  // it has sent the reply
      }
      case Exchange::Kind::call_beside: {
        const auto call = reinterpret_cast<CallManaged>(const_cast<void*>(decode_code(from)));
        const std::shared_ptr<Managed> managed = objects_here().find(number);
        caller_.object = number;
        call(managed->object.get(), from, reply);
        return;
      }
      case Exchange::Kind::retain: objects_here().retain(number, caller_.client); break;
      case Exchange::Kind::lend: objects_here().lend(number); break;
      default: Decoder::throw_damaged();
    }
    reply.finish();
  }

  void release(std::uint64_t number) {
    const bool was_last = objects_here().release(number, caller_.client);
    if (!was_last || !caller_.client.is_remote) return;
    try {
      caller_.agent().forget(number);
    } catch (const ManagerDied&) {
      // The client has gone, and its agent with it.
    }
  }

  /// Whether this server itself calls, for a function that it runs.
  bool is_own_call() const {
    return !caller_.client.is_remote && caller_.client.number == os::own_process();
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
  Caller caller_;
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

/// What a client has of this server ends with the connection that it keeps for that.
void watch_client(SocketLine& line, Client client) {
  Server& server = *server_here.load();
  server.objects.enter(client);
  server.agents.add(client);
  bool in_order = false;
  try {
    MessageRoom room;
    line.send_number(server.link.number());
    const auto source = line.receive(room);
    Decoder from(*source);
    Form<bool>::traverse(from, in_order);
  } catch (...) {
    // It was killed, or the connection is lost.
  }
  try {
    server.agents.end(client, in_order);
  } catch (...) {
    // What can't be ended ends with this server.
  }
  server.objects.leave(client);
  server.objects.sweep();
}

void serve_by_socket(SocketLine& line) {
  MessageRoom room;
  const auto source = line.receive(room);
  Decoder from(*source);
  Client client{.is_remote = true};
  bool is_kept = false;
  from.scalar(client.number);
  Form<bool>::traverse(from, is_kept);
  if (is_kept) return watch_client(line, client);
  line.send_number(server_here.load()->link.number());
  if (client.number != 0) Service(line, client).run();  // else it only asked for that
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
    } catch (const SystemError&) {
      // No descriptor or thread is left for one more, and no event tells when there is again.
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
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

}  // namespace

const ManagerLink* link_served_here(std::uint64_t number) {
  const Server* const server = server_here.load();
  const bool is_here = server != nullptr && server->link.number() == number &&
                       state_of(server->link).server.load() == os::own_process();
  return is_here ? &server->link : nullptr;
}

bool is_served_here(const ManagerLink& link) { return link_served_here(link.number()) != nullptr; }

void retain_here(std::uint64_t object) {
  objects_here().retain(object, {.number = os::own_process()});
}
void release_here(std::uint64_t object) {
  objects_here().release(object, {.number = os::own_process()});
}
void lend_here(std::uint64_t object) { objects_here().lend(object); }

void run_server(const ManagerLink& link, const ManagerOptions& options, const Event& ready) {
  std::signal(SIGINT, SIG_IGN);  // Ctrl-C is for the program, which ends its manager
  processes::allow_children();
  os::raise_descriptor_limit();  // five are kept for each thread of each client
  LinkState& state = state_of(link);
  auto* const server = new Server(link);
  server->objects.add_names(std::make_shared<Names>());
  server_here.store(server);
  try {
    listen(state, options);
  } catch (...) {
    auto error = pack_error(std::current_exception());
    if (error.size() > state.failure.size()) {
      error = pack_error(std::make_exception_ptr(
          Error("the server of a manager can't start: " +
                error_text(std::current_exception()).substr(0, state.failure.size() / 2))));
    }
    state.failure_bytes = std::min(error.size(), state.failure.size());
    std::copy_n(error.begin(), state.failure_bytes, state.failure.begin());
    ready.set();
    return;
  }
  state.server.store(os::own_process());
  ready.set();
  serve(link);
}

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

}  // namespace hoist::detail::managers

namespace hoist::detail {

ProxyHandle agent_proxy(const MakeAgentProxy& make) {
  if (managers::caller_here == nullptr) throw BadArgument("no call of a client runs here");
  return managers::caller_here->agent().proxy(managers::caller_here->object, make);
}

}  // namespace hoist::detail
