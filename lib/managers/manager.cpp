// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/manager.hpp>

#include <hoist/detail/envelope.hpp>
#include <hoist/error.hpp>

#include <chrono>
#include <exception>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "managers/line.hpp"
#include "managers/manager_server.hpp"

namespace hoist {

namespace detail::managers {

std::unique_ptr<ManagerServer> start_server(const ManagerOptions& options, const char* name) {
  auto server = std::make_unique<ManagerServer>();
  const Event ready;
  server->process.emplace(
      ProcessOptions{.name = name, .daemon = true, .start_method = StartMethod::spawn}, &run_server,
      server->link, options, ready);
  server->process->start();
  while (!ready.wait(std::chrono::milliseconds(100))) {
    if (!server->process->is_alive()) {
      throw ManagerDied("the server of a manager has ended before it was ready (exit code " +
                        std::to_string(server->process->exitcode().value_or(0)) + ")");
    }
  }
  const LinkState& state = state_of(server->link);
  if (state.failure_bytes > 0) {
    std::rethrow_exception(unpack_error(std::span(state.failure).first(state.failure_bytes)));
  }
  return server;
}

void ManagerServer::end() {
  if (!process || !process->is_alive()) return;
  link.clients().close();
  if (!process->join(std::chrono::seconds(5))) process->kill();
}

}  // namespace detail::managers

Manager::Manager(const ManagerOptions& options)
    : server_(detail::managers::start_server(options, "Manager")) {}

Manager::Manager(std::unique_ptr<detail::managers::ManagerServer> server) noexcept
    : server_(std::move(server)) {}

Manager Manager::connect(const ManagerOptions& options) {
  return Manager(std::make_unique<detail::managers::ManagerServer>(detail::managers::ManagerServer{
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
    server_->end();
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
