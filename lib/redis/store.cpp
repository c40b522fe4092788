// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/error.hpp>
#include <hoist/store.hpp>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/checksum.hpp"
#include "os/fork_hook.hpp"
#include "redis/entry.hpp"
#include "redis/leases.hpp"
#include "redis/registration.hpp"
#include "redis/server.hpp"
#include "redis/url.hpp"

namespace hoist::detail::redis {

namespace {

class RedisLock final : public StoreLock {
 public:
  explicit RedisLock(std::unique_ptr<Lease> lease) : lease_(std::move(lease)) {}

 private:
  std::unique_ptr<Lease> lease_;
};

class RedisWait final : public StoreWait {
 public:
  explicit RedisWait(std::unique_ptr<Lease> lease) : lease_(std::move(lease)) {}

 private:
  std::unique_ptr<Lease> lease_;
};

/// So many keys are asked for at once.
constexpr std::string_view keys_at_once = "1000";

/// A text as a part of a pattern that only it matches.
std::string literal(std::string_view text) {
  std::string pattern;
  for (const char c : text) {
    if (std::string_view("*?[]^\\").find(c) != std::string_view::npos) pattern += '\\';
    pattern += c;
  }
  return pattern;
}

/// Entries as keys of a server: docs/formats/redis.md has their layout.
class RedisStore final : public StoreBackend {
 public:
  RedisStore(const Url& url, bool read_only)
      : server_(std::make_shared<Server>(url)),
        keys_(url),
        read_only_(read_only),
        leases_(std::make_shared<Leases>(server_)) {}

  std::unique_ptr<StoredEntry> get(const std::string& name) override {
    return read(name, read_only_ ? Access::look : Access::use);
  }

  std::unique_ptr<StoredEntry> peek(const std::string& name) override {
    return read(name, Access::look);
  }

  void put(const std::string& name, const std::function<void(ByteSink&)>& write) override {
    server_->with([&](Connection& connection) {
      EntryWriter writer(connection, keys_, name);
      write(writer);
      writer.commit();
    });
  }

  bool contains(const std::string& name) override {
    return server_->with([&](Connection& connection) {
      return connection.call({"EXISTS", keys_.entry(name)}).integer == 1;
    });
  }

  bool remove(const std::string& name) override {
    return server_->with(
        [&](Connection& connection) { return remove_entries(connection, keys_, {name}) == 1; });
  }

  void list(const std::string& prefix,
            const std::function<void(const StoreItem&)>& visit) override {
    server_->with([&](Connection& connection) {
      const StoreUsage recorded = read_usage(connection, keys_).value_or(StoreUsage());
      StoreUsage counted;
      scan(connection, prefix, [&](const std::vector<std::string>& names) {
        for (const StoreItem& item : describe_entries(connection, keys_, names)) {
          ++counted.items;
          counted.bytes += item.bytes;
          visit(item);
        }
      });
      if (prefix.empty() && !read_only_) correct_usage(connection, keys_, recorded, counted);
    });
  }

  void clear(const std::string& prefix) override {
    server_->with([&](Connection& connection) {
      scan(connection, prefix, [&](const std::vector<std::string>& names) {
        remove_entries(connection, keys_, names);
      });
      if (prefix.empty()) connection.call({"DEL", keys_.usage()});
    });
  }

  std::unique_ptr<StoreLock> lock(const std::string& name) override {
    return std::make_unique<RedisLock>(leases()->lock(keys_.lock(name)));
  }

  std::unique_ptr<StoreLock> try_lock(const std::string& name) override {
    auto lease = leases()->try_lock(keys_.lock(name));
    return lease == nullptr ? nullptr : std::make_unique<RedisLock>(std::move(lease));
  }

  std::unique_ptr<StoreWait> announce_wait(const std::string& name,
                                           const std::vector<std::string>& held) override {
    if (held.empty()) return std::make_unique<StoreWait>();
    auto lease = leases()->announce(keys_.wait(""), name, held);
    return lease == nullptr ? nullptr : std::make_unique<RedisWait>(std::move(lease));
  }

  StoreUsage usage() override {
    const auto known =
        server_->with([&](Connection& connection) { return read_usage(connection, keys_); });
    return known ? *known : StoreBackend::usage();
  }

 private:
  std::unique_ptr<StoredEntry> read(const std::string& name, Access access) {
    return server_->with(
        [&](Connection& connection) { return read_entry(connection, keys_, name, access); });
  }

  /// Calls `visit` with the names below `prefix`, each once, some at a time.
  void scan(Connection& connection, const std::string& prefix,
            const std::function<void(const std::vector<std::string>&)>& visit) {
    const std::string front = keys_.entry("");
    const std::string pattern = literal(keys_.entry(prefix)) + (prefix.empty() ? "*" : "/*");
    std::unordered_set<std::uint64_t> seen;  // the server may tell of a key twice
    std::string cursor = "0";
    do {
      const Reply reply =
          connection.call({"SCAN", cursor, "MATCH", pattern, "COUNT", keys_at_once});
      if (reply.items.size() != 2) throw DamagedData("the reply to SCAN has another form");
      cursor = reply.items[0].text;
      std::vector<std::string> names;
      for (const Reply& key : reply.items[1].items) {
        if (!key.text.starts_with(front)) continue;
        std::string name = key.text.substr(front.size());
        if (seen.insert(base::checksum(name.data(), name.size())).second) {
          names.push_back(std::move(name));
        }
      }
      if (!names.empty()) visit(names);
    } while (cursor != "0");
  }

  std::shared_ptr<Leases> leases() {
    const std::lock_guard lock(mutex_);
    if (leases_->is_inherited()) {
      // Its locks may be held by threads that are no more here.
      inherited_.push_back(new std::shared_ptr<Leases>(std::move(leases_)));
      leases_ = std::make_shared<Leases>(server_);
    }
    return leases_;
  }

  const std::shared_ptr<Server> server_;
  const EntryKeys keys_;
  const bool read_only_;
  std::mutex mutex_;
  std::shared_ptr<Leases> leases_;
  std::vector<const void*> inherited_;  // never destroyed
  os::ForkHook fork_hook_{mutex_};
};

/// "redis://..." as it is; anything else is a name on the server of HOIST_URL.
Url url_of(const StoreConfig& config) {
  const std::string location = config.location.string();
  if (is_url(location)) return Url(location);
  const char* const text = std::getenv("HOIST_URL");
  if (text == nullptr) {
    throw BadArgument("\"" + location +
                      "\" is a name on a Redis server, but HOIST_URL doesn't tell which: give "
                      "Memory(\"redis://:PASSWORD@HOST/NAME\")");
  }
  return Url(text, location);
}

}  // namespace

void register_stores() {
  const StoreFactory factory = [](const StoreConfig& config) -> std::unique_ptr<StoreBackend> {
    return std::make_unique<RedisStore>(url_of(config), config.read_only);
  };
  for (const char* name : {"redis", "rediss", "unix"}) register_store_backend(name, factory);
}

}  // namespace hoist::detail::redis
