// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/cached.hpp>
#include <hoist/codec.hpp>
#include <hoist/detail/memo.hpp>

#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "fingerprint/variable_values.hpp"
#include "memory/entry.hpp"
#include "memory/function_name.hpp"
#include "memory/known_functions.hpp"
#include "memory/memory_core.hpp"

namespace hoist::detail::memory {

/// One function in front of one Memory.
class FunctionCache final : public CallCache {
 public:
  FunctionCache(std::shared_ptr<MemoryCore> memory, const FunctionInfo& info,
                const CacheOptions& options);

  std::unique_ptr<MissingResult> find(const Call& call) override;
  std::unique_ptr<MissingResult> find_entry(const Call& call, EntryAddress& address) override;
  std::unique_ptr<MissingResult> replace(const Call& call) override;
  std::unique_ptr<MissingResult> find_alone(const Call& call) override;
  bool read(const Call& call) override;
  void put(const Call& call) override;
  std::vector<EntryAddress> entries() override;
  Digest flight_of(const Call& call) override;
  bool is_cached(const Call& call) override;
  std::string explain(const Call& call) override;
  void clear() override;
  CacheParts parts() const override;
  std::uint64_t ignored() const noexcept override { return ignored_; }
  const std::string& name() const noexcept override { return name_.readable; }

 private:
  class Miss;
  enum class Found { yes, no, damaged, unusable };

  std::unique_ptr<KnownFunction> identify();
  /// What stands for the function in keys and dependencies.
  const KnownFunction& known();
  Call with_variables(const Call& call) const;
  EntryAddress address_of(const Call& call) const;
  Digest hot_key(const Call& call) const;
  Digest flight_key(const Call& call) const;
  /// Whether computed results are stored.
  bool is_stored() const { return memory_->store() != nullptr && !memory_->options().read_only; }
  /// Throws NotFound where a miss is to fail.
  void fail_if_wanted(const Call& call) const;
  /// Reads a result that is in this process's memory.
  bool find_hot(const Call& call);
  /// Without a store.
  std::unique_ptr<MissingResult> find_nowhere(const Call& call);
  /// The metadata of an entry for this call, as far as it is known beforehand.
  EntryMetadata describe(const Call& call) const;
  /// Looks an entry up; with a frame its value is read.
  Found look_up(const std::string& name, const Call& call, void* frame, EntryMetadata& metadata,
                bool again = false);
  /// Finds the entry, waiting for others that compute it; with a frame its value is read.
  std::unique_ptr<MissingResult> obtain(EntryAddress address, const Call& call, void* frame);
  void hit(const Call& call, void* frame, const EntryMetadata& metadata);
  /// Notes that the computation which makes this call, if there is one, depends on this function
  /// and on what its result depends on.
  void note(const Call& call, const std::vector<CacheDependency>& dependencies);
  /// Encodes the result and puts its entry; false if it couldn't be stored.
  bool store(const std::string& name, const Call& call, EntryMetadata& metadata,
             std::optional<Encoded>& result);
  void evict();
  /// Keeps a result in this process's memory, if the Memory does.
  void keep(const Call& call, const EntryMetadata& metadata, std::optional<Encoded> result = {});

  std::shared_ptr<MemoryCore> memory_;
  CacheOptions options_;
  FunctionName name_;
  std::string directory_;  ///< <function>/<version>/
  Digest directory_digest_;
  const void* code_;
  std::once_flag identified_;
  std::unique_ptr<KnownFunction> known_;  ///< made by `known`
  std::uint64_t ignored_ = 0;
  MmapMode mmap_;
  const Codec* codec_;
  int level_;
  int verbose_;
  std::shared_ptr<Counters> counters_;
};

}  // namespace hoist::detail::memory
