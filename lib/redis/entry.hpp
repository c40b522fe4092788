// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/bytes.hpp>
#include <hoist/store.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "redis/connection.hpp"
#include "redis/url.hpp"

namespace hoist::detail::redis {

/// The names of a store's keys, which are all in one slot: docs/formats/redis.md.
class EntryKeys {
 public:
  explicit EntryKeys(const Url& url)
      : front_(url.front()), time_(std::to_string(url.ttl.count())) {}

  std::string entry(const std::string& name) const { return front_ + "e:" + name; }
  std::string pieces(const std::string& id) const { return front_ + "p:" + id + ":"; }
  std::string lock(const std::string& name) const { return front_ + "l:" + name; }
  std::string wait(const std::string& name) const { return front_ + "w:" + name; }
  std::string usage() const { return front_ + "usage"; }
  /// What all of them begin with.
  const std::string& front() const { return front_; }
  /// How long an entry is kept unused, in milliseconds.
  const std::string& time() const { return time_; }

 private:
  std::string front_;
  std::string time_;
};

/// Whether an entry that is read is kept longer for that; a look sends nothing that writes.
enum class Access : bool { use, look };

/// The entry of that name, read as a whole, or null: also where a piece of it is missing.
std::unique_ptr<StoredEntry> read_entry(Connection& connection, const EntryKeys& keys,
                                        const std::string& name, Access access);

/// Writes an entry: a short one with its key, a long one piece by piece as it comes. Without
/// `commit` the pieces are removed, and expire where that fails.
class EntryWriter final : public ByteSink {
 public:
  EntryWriter(Connection& connection, const EntryKeys& keys, const std::string& name);
  EntryWriter(const EntryWriter&) = delete;
  EntryWriter& operator=(const EntryWriter&) = delete;
  ~EntryWriter() override;

  void write(std::span<const std::byte> bytes) override;
  /// Replaces the entry of that name. Throws SystemError where a piece is gone already.
  void commit();

 private:
  void send_piece(std::span<const std::byte> more);
  void await_pieces(std::size_t left);

  Connection& connection_;
  const EntryKeys& keys_;
  const std::string name_;
  const std::string id_;  // of the pieces
  std::vector<std::byte> kept_;
  std::uint64_t size_ = 0;
  std::size_t pieces_ = 0;
  std::size_t awaited_ = 0;  // pieces whose replies have not come
  bool committed_ = false;
};

/// Removes entries; how many there were.
std::uint64_t remove_entries(Connection& connection, const EntryKeys& keys,
                             const std::vector<std::string>& names);
/// Those of the entries that are there.
std::vector<StoreItem> describe_entries(Connection& connection, const EntryKeys& keys,
                                        const std::vector<std::string>& names);

/// What the server's record says; none where there is no record.
std::optional<StoreUsage> read_usage(Connection& connection, const EntryKeys& keys);
/// Corrects the record, or makes it, after the entries were counted.
void correct_usage(Connection& connection, const EntryKeys& keys, const StoreUsage& recorded,
                   const StoreUsage& counted);

}  // namespace hoist::detail::redis
