// SPDX-License-Identifier: BSD-3-Clause
#include "managers/agents.hpp"

#include <hoist/error.hpp>
#include <hoist/manager.hpp>

#include <utility>

namespace hoist::detail::managers {

namespace {

[[noreturn]] void throw_gone() { throw ManagerDied("the client of this call is gone"); }

}  // namespace

ProxyHandle Agent::proxy(std::uint64_t object, const MakeAgentProxy& make) {
  const std::lock_guard lock(mutex_);
  if (has_ended_) throw_gone();
  const SendingOut to_this_machine(false);  // unlike what the thread sends to the client
  if (server_ != nullptr && !server_->process->is_alive()) {
    proxies_.clear();  // it was killed, and what it held is known as lost
    server_.reset();
  }
  if (server_ == nullptr) server_ = start_server({}, "Manager-agent");
  auto& known = proxies_[object];
  if (!known.has_object()) known = make(server_->link);
  return known;
}

void Agent::forget(std::uint64_t object) {
  const std::lock_guard lock(mutex_);
  proxies_.erase(object);
}

void Agent::end(bool in_order) {
  const std::lock_guard lock(mutex_);
  has_ended_ = true;
  if (server_ == nullptr) return;
  if (in_order) {
    server_->end();
  } else {
    server_->process->kill();
  }
}

void Agents::add(Client client) {
  const std::lock_guard lock(mutex_);
  const auto at = all_.try_emplace(client, Known{std::make_shared<Agent>()}).first;
  ++at->second.connections;
}

std::shared_ptr<Agent> Agents::find(Client client) {
  const std::lock_guard lock(mutex_);
  const auto at = all_.find(client);
  if (at == all_.end()) throw_gone();
  return at->second.agent;
}

void Agents::end(Client client, bool in_order) {
  std::shared_ptr<Agent> ended;
  {
    const std::lock_guard lock(mutex_);
    const auto at = all_.find(client);
    if (at == all_.end() || --at->second.connections > 0) return;
    ended = std::move(at->second.agent);
    all_.erase(at);
  }
  ended->end(in_order);
}

}  // namespace hoist::detail::managers
