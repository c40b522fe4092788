// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/store.hpp>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "os/fork_hook.hpp"

namespace hoist::detail::memory {

/// When each entry of a local store was last used, and how much there is in all: a file mapped by
/// all processes that use the store, so that a hit records its use without a system call. Hits are
/// counted in the last bits of the time, which nobody needs.
///
/// Only a record: the entries' files are the truth. A use that is lost (a collision, a race, a
/// table just replaced by a larger one) makes an entry look as old as its file. Where the table
/// can't be made, the store does without. Its layout: docs/formats/entry.md.
class UseTable final {
 public:
  /// `read_only`: records nothing.
  UseTable(std::string path, bool read_only);
  UseTable(const UseTable&) = delete;
  UseTable& operator=(const UseTable&) = delete;
  ~UseTable();

  /// Opens the table if there is one.
  void open();
  /// Makes the table if there is none, or if it was removed with its directory. True if it is new,
  /// and doesn't yet know how much there is in the store.
  bool create();

  struct Use {
    std::uint64_t time = 0;   ///< of the last one, nanoseconds since 1970; 0 if not known
    std::uint64_t count = 0;  ///< since it was stored
  };
  Use use_of(std::uint64_t tag);
  void stored(std::uint64_t tag);
  void used(std::uint64_t tag);
  void erase(std::uint64_t tag);

  void add(std::int64_t items, std::int64_t bytes);
  StoreUsage usage();
  /// Makes the table larger if it is filling up. Called now and then by those who put entries.
  void maintain();

 private:
  struct Mapping;

  Mapping* current();
  /// Null if nothing may be recorded.
  Mapping* writable() { return read_only_ ? nullptr : current(); }
  int open_table() const;
  std::string fresh_path() const;
  std::unique_ptr<Mapping> map(int fd) const;
  std::unique_ptr<Mapping> make(std::uint64_t slots, const std::string& path) const;
  bool adopt_existing();
  void adopt(std::unique_ptr<Mapping> mapping);

  std::string path_;
  const bool read_only_;
  std::atomic<Mapping*> current_{nullptr};
  std::mutex mutex_;
  /// Tables that were replaced stay mapped: another thread may be writing to them. Only the last
  /// one's file is open; it is used under the mutex.
  std::vector<std::unique_ptr<Mapping>> mappings_;
  os::ForkHook fork_hook_{mutex_};
};

}  // namespace hoist::detail::memory
