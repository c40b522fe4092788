// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/error.hpp>
#include <hoist/listener.hpp>

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "managers/line.hpp"
#include "os/fork_hook.hpp"
#include "os/process_end.hpp"

namespace hoist::detail::managers {

namespace {

/// Requests and replies tell by themselves what they are.
const MessageType exchanged{
    .tag = 0x686f6973742d6d67, .method = TransferMethod::storable, .type = &typeid(Line)};

/// Says who connects, 0 for nobody, and whether only to be known. Returns the server's number.
std::uint64_t introduce(SocketLine& line, std::uint64_t client, bool is_kept,
                        Deadline deadline = Deadline::max()) {
  MessageRoom room;
  room.encoder().scalar(client);
  room.encoder().scalar(is_kept);
  line.send(room, room.encoder());
  const auto source = line.receive_until(deadline);
  if (source == nullptr) {
    throw TimedOut("what listens at the address doesn't answer as the server of a manager does");
  }
  Decoder decoder(*source);
  std::uint64_t server = 0;
  decoder.scalar(server);
  return server;
}

std::shared_ptr<SocketLine> connect_to(const ManagerLink& link, std::uint64_t client,
                                       bool is_kept) {
  try {
    // A server that has been spoken to has ended where nobody listens any more.
    auto line = std::make_shared<SocketLine>(connect_stream(
        link.address(), {.authkey = link.authkey(), .timeout = std::chrono::seconds(5)}, false));
    const std::uint64_t server = introduce(*line, client, is_kept);
    if (link.number() != 0 && server != link.number()) {
      throw ManagerDied("another manager listens at the address now");
    }
    return line;
  } catch (const SystemError& error) {
    throw ManagerDied(std::string("the server of the manager has ended: ") + error.what());
  } catch (const EndOfStream&) {
    throw ManagerDied("the server of the manager has ended");
  }
}

/// This process, as a client of servers by their addresses.
class ThisClient {
 public:
  static ThisClient& here() {
    static auto* const client = new ThisClient;
    return *client;
  }

  std::uint64_t number() {
    const std::lock_guard lock(mutex_);
    return number_;
  }

  /// Sees to it that a server knows that this process is there.
  void keep_line(const ManagerLink& link) {
    os::at_process_end([] { here().say_farewell(); });
    while (!has_line(link.number())) {
      const std::uint64_t forks = os::fork_count();
      // Lines have fork hooks, so they are made and destroyed without the mutex.
      auto line = connect_to(link, number(), true);
      std::vector<std::shared_ptr<SocketLine>> ended;  // before this, or of servers that have ended
      const std::lock_guard lock(mutex_);
      if (forks == os::fork_count()) {
        std::erase_if(lines_, [&](auto& one) {
          if (!one.second->is_broken()) return false;
          ended.push_back(std::move(one.second));
          return true;
        });
        return lines_[link.number()].swap(line);
      }
      say_farewell(*line);  // a child has inherited it, and would keep it open
    }
  }

 private:
  using Lines = std::map<std::uint64_t, std::shared_ptr<SocketLine>>;

  bool has_line(std::uint64_t server) {
    const std::lock_guard lock(mutex_);
    const auto known = lines_.find(server);
    return known != lines_.end() && !known->second->is_broken();
  }

  void say_farewell() {
    const std::lock_guard lock(mutex_);
    for (const auto& [server, line] : lines_) say_farewell(*line);
  }

  static void say_farewell(SocketLine& line) {
    try {
      MessageRoom room;
      room.encoder().scalar(true);
      line.send(room, room.encoder());
    } catch (const std::exception&) {
      // The server has ended before.
    }
  }

  /// A forked child is another client.
  void be_child() {
    for (const auto& [server, line] : lines_) line->forget();
    forgotten_.push_back(std::exchange(lines_, {}));
    number_ = random_number();
  }

  std::mutex mutex_;
  std::uint64_t number_ = random_number();
  Lines lines_;
  std::vector<Lines> forgotten_;  // a hook may not destroy them
  os::ForkHook fork_hook_{mutex_, [this] { be_child(); }};
};

}  // namespace

void SocketLine::send(MessageRoom&, Encoder& encoder) {
  try {
    put(encoder, exchanged, Deadline::max());
  } catch (const EndOfStream&) {
    over_ = true;
    throw;
  }
}

std::shared_ptr<DecodeSource> SocketLine::receive(MessageRoom&) {
  return receive_until(Deadline::max());
}

std::shared_ptr<DecodeSource> SocketLine::receive_until(Deadline deadline) {
  try {
    return get(exchanged, deadline);
  } catch (const EndOfStream&) {
    over_ = true;
    throw;
  }
}

void SocketLine::send_number(std::uint64_t number) {
  MessageRoom room;
  room.encoder().scalar(number);
  send(room, room.encoder());
}

std::shared_ptr<Line> connect_by_socket(const ManagerLink& link) {
  ThisClient& client = ThisClient::here();
  client.keep_line(link);
  return connect_to(link, client.number(), false);
}

ManagerLink link_to(const std::string& address, const std::optional<std::string>& authkey,
                    std::chrono::milliseconds timeout) {
  const Deadline deadline = deadline_after(timeout);
  SocketLine line(connect_stream(address, {.authkey = authkey, .timeout = timeout}));
  // Any listener of this program with that key has got here.
  return {address, authkey, introduce(line, 0, false, deadline)};
}

}  // namespace hoist::detail::managers
