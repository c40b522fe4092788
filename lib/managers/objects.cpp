// SPDX-License-Identifier: BSD-3-Clause
#include "managers/objects.hpp"

#include <hoist/error.hpp>

#include <algorithm>
#include <utility>
#include <vector>

namespace hoist::detail::managers {

namespace {

using Clock = std::chrono::steady_clock;

/// An object waits so long for the process that a proxy of it was sent to.
constexpr auto lent_for = std::chrono::minutes(1);

bool is_needed(const Managed& managed, Clock::time_point now) {
  return !managed.references.empty() || now < managed.lent_until;
}

}  // namespace

std::uint64_t Objects::add(std::shared_ptr<void> object, Client client) {
  auto managed = std::make_shared<Managed>();
  managed->object = std::move(object);
  managed->references[client] = 1;
  const std::lock_guard lock(mutex_);
  all_.emplace(++last_, std::move(managed));
  return last_;
}

void Objects::add_names(std::shared_ptr<void> object) {
  const std::uint64_t number = add(std::move(object), Client());
  found(number)->lent_until = Clock::time_point::max();
}

std::shared_ptr<Managed> Objects::find(std::uint64_t number) {
  const std::lock_guard lock(mutex_);
  return found(number);
}

void Objects::retain(std::uint64_t number, Client client) {
  const std::lock_guard lock(mutex_);
  ++found(number)->references[client];
}

void Objects::lend(std::uint64_t number) {
  const std::lock_guard lock(mutex_);
  auto& until = found(number)->lent_until;
  until = std::max(until, Clock::now() + lent_for);
}

bool Objects::release(std::uint64_t number, Client client) {
  std::shared_ptr<Managed> removed;
  const std::lock_guard lock(mutex_);
  const auto at = all_.find(number);
  if (at == all_.end()) return true;
  auto& references = at->second->references;
  const auto own = references.find(client);
  const bool was_last = own == references.end() || --own->second == 0;
  if (was_last && own != references.end()) references.erase(own);
  if (!is_needed(*at->second, Clock::now())) removed = take(at);
  return was_last;
}

void Objects::enter(Client client) {
  const std::lock_guard lock(mutex_);
  remote_.insert(client);
}

void Objects::leave(Client client) {
  const std::lock_guard lock(mutex_);
  remote_.extract(client);  // one of them
}

void Objects::sweep() {
  std::vector<std::shared_ptr<Managed>> removed;
  const std::lock_guard lock(mutex_);
  std::map<Client, bool> runs;
  const auto now = Clock::now();
  for (auto at = all_.begin(); at != all_.end();) {
    std::erase_if(at->second->references, [&](const auto& one) {
      const auto [known, is_new] = runs.try_emplace(one.first, true);
      if (is_new) known->second = is_there(one.first);
      return !known->second;
    });
    const auto it = at++;
    if (!is_needed(*it->second, now)) removed.push_back(take(it));
  }
}

bool Objects::is_there(Client client) const {
  return client.is_remote ? remote_.contains(client) : os::is_running(client.number);
}

const std::shared_ptr<Managed>& Objects::found(std::uint64_t number) {
  const auto at = all_.find(number);
  if (at == all_.end()) {
    throw NotFound("the managed object is no more: nobody had a proxy of it for a minute");
  }
  return at->second;
}

std::shared_ptr<Managed> Objects::take(All::iterator at) {
  auto managed = std::move(at->second);
  all_.erase(at);
  return managed;
}

}  // namespace hoist::detail::managers
