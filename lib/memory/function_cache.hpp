// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/codec.hpp>
#include <hoist/detail/memo.hpp>

#include <exception>
#include <memory>
#include <string>

#include "memory/entry.hpp"
#include "memory/function_name.hpp"
#include "memory/memory_core.hpp"

namespace hoist::detail::memory {

/// One function in front of one Memory.
class FunctionCache {
 public:
  FunctionCache(std::shared_ptr<MemoryCore> memory, const FunctionInfo& info,
                const CacheOptions& options);

  void run(const Call& call);
  EntryMetadata recompute(const Call& call);
  bool is_cached(const Call& call);
  EntryAddress shelve(const Call& call);
  std::string explain(const Call& call);
  void clear();

  const CacheOptions& options() const noexcept { return options_; }
  std::uint64_t ignored() const noexcept { return ignored_; }
  const std::string& name() const noexcept { return name_.readable; }

 private:
  enum class Found { yes, no, damaged, unusable };

  std::string entry_name(const Call& call) const;
  Digest hot_key(const Call& call) const;
  /// Looks an entry up; with a frame its value is read.
  Found look_up(const std::string& name, const Call& call, void* frame, EntryMetadata& metadata,
                bool again = false);
  /// Finds the entry, or computes the result and stores it, or waits until somebody has done so.
  /// With a frame, the result is in the call's frame at the end.
  void obtain(const std::string& name, const Call& call, void* frame);
  void hit(const Call& call, void* frame, const EntryMetadata& metadata);
  /// Runs the function and stores the result; false if it couldn't be stored.
  bool compute(const std::string& name, const Call& call, EntryMetadata& metadata);
  EntryMetadata run_function(const Call& call);
  bool store(const std::string& name, const Call& call, const EntryMetadata& metadata);

  std::shared_ptr<MemoryCore> memory_;
  CacheOptions options_;
  FunctionName name_;
  std::string directory_;  ///< <function>/<version>/
  Digest directory_digest_;
  std::uint64_t ignored_ = 0;
  MmapMode mmap_;
  const Codec* codec_;
  int level_;
  int verbose_;
  std::shared_ptr<Counters> counters_;
};

}  // namespace hoist::detail::memory
