// SPDX-License-Identifier: BSD-3-Clause
#include "redis/leases.hpp"

#include <hoist/error.hpp>

#include <algorithm>
#include <cerrno>
#include <string_view>
#include <thread>

#include "base/random_name.hpp"
#include "os/thread_pool.hpp"

namespace hoist::detail::redis {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds lease_time = std::chrono::seconds(10);
/// Where nothing else tells that a holder has died.
constexpr std::chrono::milliseconds short_lease_time = std::chrono::seconds(1);
constexpr int renewals = 4;  // in the time of a lease

/// Who waits looks again after a sixteenth of the time that it has waited for this holder: what
/// takes a second is noticed within 60 ms, and a thousand waiters ask 10,000 times a second.
constexpr auto shortest_sleep = std::chrono::milliseconds(1);
constexpr auto longest_sleep = std::chrono::milliseconds(100);
/// So often a waiter asks whether the holder lives.
constexpr auto look_interval = std::chrono::milliseconds(100);

constexpr std::size_t token_size = 32;

constexpr std::string_view renew_script =
    "if redis.call('GET',KEYS[1])==ARGV[1] then return redis.call('PEXPIRE',KEYS[1],ARGV[2]) end "
    "return 0";
constexpr std::string_view release_script =
    "if redis.call('GET',KEYS[1])==ARGV[1] then return redis.call('DEL',KEYS[1]) end return 0";
/// ARGV: the prefix of announcements, the token, the lease, what is wanted, what is held.
constexpr std::string_view announce_script =
    "local at=ARGV[4] for step=1,100000 do "
    "for i=5,#ARGV do if ARGV[i]==at then return 0 end end "
    "local next=redis.call('GET',ARGV[1]..at) "
    "if not next then "
    "for i=5,#ARGV do redis.call('SET',ARGV[1]..ARGV[i],ARGV[2]..ARGV[4],'PX',ARGV[3]) end "
    "return 1 end "
    "at=string.sub(next,33) end return 0";

}  // namespace

Lease::~Lease() { of_->release(*this); }

Leases::~Leases() {
  end_->is_there.store(true);
  end_->bell.ring();
}

/// Not while the server is avoided: it would be waited for anew.
bool Leases::has_presence() const {
  return presence_ != nullptr && presence_->is_reusable() && !server_->is_avoided();
}

void Leases::open_presence() {
  presence_ = server_->take();
  const bool can_ask_for_one = presence_->version() >= 602;
  Request request;
  if (can_ask_for_one) {
    request.add({"CLIENT", "LIST", "ID", std::to_string(presence_->id())});
  } else {
    request.add({"CLIENT", "LIST", "TYPE", "pubsub"});
  }
  presence_->send(request);
  may_look_ = !presence_->receive().is_error();
  time_ = may_look_ ? lease_time : short_lease_time;
}

template <class Work>
auto Leases::with_presence(const Work& work) {
  const std::lock_guard lock(mutex_);
  const auto start = Clock::now();
  try {
    if (!has_presence()) open_presence();
    return work(*presence_);
  } catch (const TimedOut&) {
    server_->avoid(start);
    presence_.reset();
    throw;
  }
}

std::unique_ptr<Lease> Leases::enlist(std::vector<std::string> keys, std::string value) {
  auto lease = std::make_unique<Lease>(shared_from_this(), std::move(keys), std::move(value));
  if (leases_.empty()) renewed_ = Clock::now();
  leases_.push_back(lease.get());
  return lease;
}

std::unique_ptr<Lease> Leases::try_lock(Connection& presence, const std::string& key,
                                        std::string& holder) {
  std::string value = base::random_name(token_size) + ":" + std::to_string(presence.id());
  Request request;
  request.add({"SET", key, value, "NX", "PX", std::to_string(time_.count())});
  request.add({"GET", key});
  const auto replies = presence.call(request);
  holder = replies[1].text;
  if (replies[0].is_null()) return nullptr;
  return enlist({key}, std::move(value));
}

std::unique_ptr<Lease> Leases::try_lock(const std::string& key) {
  std::string holder;
  auto lease = with_presence([&](Connection& presence) { return try_lock(presence, key, holder); });
  if (lease != nullptr) see_to_renewal();
  return lease;
}

/// Removes a lock whose holder's connection is gone.
void Leases::free_of_dead(Connection& presence, const std::string& key, const std::string& holder) {
  if (!may_look_ || holder.size() <= token_size + 1) return;
  const std::string id = holder.substr(token_size + 1);
  const bool can_ask_for_one = presence.version() >= 602;
  const Reply found = can_ask_for_one ? presence.call({"CLIENT", "LIST", "ID", id})
                                      : presence.call({"CLIENT", "LIST"});
  const std::string line = "id=" + id + " ";
  if (found.text.starts_with(line) || found.text.find("\n" + line) != std::string::npos) return;
  presence.call({"EVAL", release_script, "1", key, holder});
}

std::unique_ptr<Lease> Leases::lock(const std::string& key) {
  const std::uint64_t losses = losses_.load();
  std::string holder;
  auto since = Clock::now();  // that one has it
  auto looked = since;
  for (;;) {
    std::unique_ptr<Lease> lease;
    const auto now = Clock::now();
    with_presence([&](Connection& presence) {
      const std::string before = holder;
      lease = try_lock(presence, key, holder);
      if (holder != before) since = now;
      if (lease != nullptr || now - looked < look_interval) return;
      looked = now;
      free_of_dead(presence, key, holder);
    });
    if (lease != nullptr) {
      see_to_renewal();
      return lease;
    }
    if (losses_.load() != losses) {
      throw SystemError("locks on the Redis server " + server_->url().server + " were lost",
                        ENOLCK);
    }
    // A push at each release (BLPOP) would tell sooner, but a killed holder pushes nothing, so that
    // who waits has to look in any case; and each waiting thread would need its own connection.
    std::this_thread::sleep_for(
        std::clamp<Clock::duration>((now - since) / 16, shortest_sleep, longest_sleep));
  }
}

std::unique_ptr<Lease> Leases::announce(const std::string& prefix, const std::string& wanted,
                                        const std::vector<std::string>& held) {
  const std::string token = base::random_name(token_size);
  auto lease = with_presence([&](Connection& presence) -> std::unique_ptr<Lease> {
    const std::string time = std::to_string(time_.count());
    std::vector<std::string_view> words{"EVAL", announce_script, "0", prefix, token, time, wanted};
    std::vector<std::string> keys;
    for (const std::string& one : held) {
      words.push_back(one);
      keys.push_back(prefix + one);
    }
    Request request;
    request.add(words);
    if (presence.call(request).front().integer == 0) return nullptr;
    return enlist(std::move(keys), token + wanted);
  });
  if (lease != nullptr) see_to_renewal();
  return lease;
}

void Leases::see_to_renewal() {
  const std::lock_guard lock(mutex_);
  if (is_renewing_) return;
  os::ThreadPool::start_beside("hoist-leases", [of = weak_from_this(), end = end_] {
    const auto is_over = [&] { return end->is_there.load(); };
    do {
      const auto self = of.lock();
      if (self == nullptr || !self->renew()) return;
    } while (!end->bell.wait(Clock::now() + short_lease_time / renewals, is_over, false));
  });
  is_renewing_ = true;
}

bool Leases::renew() {
  try {
    with_presence([this](Connection& presence) {
      const auto now = Clock::now();
      if (leases_.empty() || now < renewed_ + time_ / renewals) return;
      Request request;
      for (const Lease* lease : leases_) {
        for (const std::string& key : lease->keys()) {
          request.add(
              {"EVAL", renew_script, "1", key, lease->value(), std::to_string(time_.count())});
        }
      }
      const auto replies = presence.call(request);
      auto reply = replies.begin();
      std::erase_if(leases_, [&](const Lease* lease) {
        const auto first = reply;
        reply += static_cast<std::ptrdiff_t>(lease->keys().size());
        const bool lost =
            std::any_of(first, reply, [](const Reply& one) { return one.integer == 0; });
        if (lost) ++losses_;
        return lost;
      });
      renewed_ = now;
    });
  } catch (const std::exception&) {
    ++losses_;
  }
  const std::lock_guard lock(mutex_);
  return is_renewing_ = !leases_.empty();
}

void Leases::release(const Lease& lease) noexcept {
  if (is_inherited()) return;
  const std::lock_guard lock(mutex_);
  std::erase(leases_, &lease);
  const auto start = Clock::now();
  try {
    // Without a connection the server knows that we are gone.
    if (!has_presence()) return presence_.reset();
    Request request;
    for (const std::string& key : lease.keys()) {
      request.add({"EVAL", release_script, "1", key, lease.value()});
    }
    presence_->call(request);
  } catch (const TimedOut&) {
    server_->avoid(start);
    presence_.reset();
  } catch (const std::exception&) {
    presence_.reset();  // its end tells, or that of the lease
  }
}

}  // namespace hoist::detail::redis
