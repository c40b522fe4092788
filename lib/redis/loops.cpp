// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/backend.hpp>
#include <hoist/error.hpp>
#include <hoist/redis.hpp>

#include <sys/prctl.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <string>

#include "os/cpu.hpp"
#include "os/log.hpp"
#include "os/termination.hpp"
#include "redis/registration.hpp"
#include "redis/transport.hpp"
#include "redis/url.hpp"
#include "remote/process_hosts.hpp"
#include "remote/remote_backend.hpp"
#include "remote/worker_host.hpp"
#include "workers/launch.hpp"

namespace hoist::detail::redis {

namespace {

constinit remote::ProcessHosts process_hosts;
/// By use_redis, for forked children as well. Never destroyed.
constinit std::atomic<const Url*> used_url{nullptr};

remote::Hosts* join_hosts() {
  const Url* const used = used_url.load();
  const char* const text = std::getenv("HOIST_URL");
  if (used == nullptr && text == nullptr) {
    throw BadArgument(
        "the backend \"redis\" needs a server: set HOIST_URL=redis://:PASSWORD@HOST/NAME or call "
        "use_redis, and start worker hosts with HOIST_WORKER=redis://:PASSWORD@HOST/NAME");
  }
  const Url url = used != nullptr ? *used : Url(text);
  return new remote::Hosts("redis",
                           std::make_unique<RedisTransport>(url, RedisTransport::Role::master));
}

remote::Hosts& hosts() { return process_hosts.here(join_hosts); }

/// Leaves in order when it is told to end: its masters hear of it, and its workers end with it.
void leave_at_termination(RedisTransport& transport) {
  os::at_termination([&transport] {
    transport.close();
    std::fflush(nullptr);
    ::_exit(0);
  });
}

/// Serves masters, several at a time, until SIGTERM or until it is told to leave.
[[noreturn]] void run_host(const std::string& text) {
  // What is started here is no host.
  ::unsetenv("HOIST_WORKER");
  ::unsetenv("HOIST_BACKEND");
  ::prctl(PR_SET_NAME, "hoist-host");
  try {
    RedisTransport transport(Url(text), RedisTransport::Role::host);
    leave_at_termination(transport);
    const auto cores = static_cast<unsigned>(os::usable_cores());
    remote::WorkerHost host(transport, {.slots = cores, .cores = cores});
    host.run_until_told();
    transport.close();
    std::fflush(nullptr);
    ::_exit(0);
  } catch (const std::exception& error) {
    os::log(LogLevel::error, "workers", std::string("worker host: ") + error.what());
  }
  ::_exit(1);
}

/// Before main.
void choose() {
  const char* const text = std::getenv("HOIST_WORKER");
  if (text != nullptr && is_url(text)) run_host(text);
}

}  // namespace

void register_loops() {
  static workers::BeforeMain before_main{.call = choose};
  workers::add_before_main(before_main);
  register_backend("redis", [] { return std::make_shared<remote::RemoteBackend>(hosts); });
}

}  // namespace hoist::detail::redis

namespace hoist {

void use_redis(const RedisOptions& options) {
  using namespace detail::redis;
  const Url url = url_of(options);
  if (!process_hosts.set_before([&] { used_url.store(new Url(url)); })) {
    throw BadArgument("use_redis: loops of this process have worker hosts already");
  }
}

}  // namespace hoist
