// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/code.hpp>
#include <hoist/compression.hpp>
#include <hoist/detail/decoder.hpp>
#include <hoist/detail/encoder.hpp>
#include <hoist/detail/padding.hpp>
#include <hoist/detail/schema.hpp>
#include <hoist/entry.hpp>
#include <hoist/mmap_mode.hpp>
#include <hoist/values.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <typeinfo>
#include <vector>

// The seam between the templates of memory.hpp and the compiled library: a cached call as a key, a
// frame and a table of functions.

namespace hoist {

class Memory;

struct CacheOptions;

namespace detail {

namespace memory {
class MemoryCore;
}

/// What a cached function's templates know how to do with a call's frame.
struct CallOps {
  const Schema& (*entry_schema)();
  void (*encode)(const void* frame, Encoder& encoder);
  void (*decode)(void* frame, Decoder& decoder);
  std::string (*summary)(const void* frame);
};

/// A call: its arguments' digest and, where these are short, their canonical encoding.
struct Call {
  const CallOps* ops;
  void* frame;
  Digest key;
  std::span<const std::byte> content;
  std::uint64_t bytes = 0;  ///< of the arguments
};

/// Where an entry is, without the value: what a Shelved holds.
struct EntryAddress {
  std::string name = {};
  std::vector<std::byte> value = {};  ///< the entry itself, where there is no store
  std::uint8_t mmap_mode = 0;         ///< how its arrays come back
};

/// The options of a cached function that travel.
struct CacheParts {
  std::string name = {};
  std::string version = {};
  std::vector<std::int32_t> ignore = {};
  std::uint8_t code = 0;
  std::optional<std::uint8_t> mmap_mode = {};
  bool compress = false;
  std::string codec = {};
  std::int32_t level = 0;
  std::optional<std::int32_t> verbose = {};
  std::vector<std::string> tags = {};
};
CacheOptions options_of(const CacheParts& parts);

/// The function to be cached.
struct FunctionInfo {
  const void* code;                     ///< null: unknown
  const std::type_info* type;           ///< of the callable
  std::string_view signature;           ///< of the types, as the compiler renders them
  std::vector<std::string> unhashable;  ///< per parameter: empty, or why it can't be in the key
};

/// A result that the cache doesn't have. Whoever gets one runs the function and calls `finish`. As
/// long as it lives, other callers wait for the result where the Memory's options say so; destroyed
/// without `finish`, because the function has thrown, it lets the next one compute.
class MissingResult {
 public:
  virtual ~MissingResult();
  /// Stores the result, which is in the call's frame by now.
  virtual void finish() = 0;
  bool is_stored = false;

  /// Complete after `finish`.
  EntryMetadata metadata;
  EntryAddress address;
};

/// The cache of one function, for the templates. A call is looked up and stored, but never run by
/// it: while the function runs, nothing of hoist's is on the stack but the call's frame, since the
/// function may call itself thousands of calls deep.
class CallCache {
 public:
  virtual ~CallCache();
  /// Reads the result into the call's frame. If it isn't there, returns what it takes to add it.
  virtual std::unique_ptr<MissingResult> find(const Call& call) = 0;
  /// The same, but the result isn't read, only its address.
  virtual std::unique_ptr<MissingResult> find_entry(const Call& call, EntryAddress& address) = 0;
  /// As if the cache didn't have it.
  virtual std::unique_ptr<MissingResult> replace(const Call& call) = 0;
  /// For a computation that is not that of one thread: nobody waits for it, and which cached
  /// functions it calls isn't noted.
  virtual std::unique_ptr<MissingResult> find_alone(const Call& call) = 0;
  /// Reads the result into the call's frame. False if it isn't there.
  virtual bool read(const Call& call) = 0;
  /// Stores the result that is in the call's frame.
  virtual void put(const Call& call) = 0;
  /// Where the results of the function as it is are stored.
  virtual std::vector<EntryAddress> entries() = 0;
  /// Stands for the call and its Memory's location among all of this process.
  virtual Digest flight_of(const Call& call) = 0;
  virtual bool is_cached(const Call& call) = 0;
  virtual std::string explain(const Call& call) = 0;
  virtual void clear() = 0;
  /// The options as far as they travel. Throws CannotTravel where there is a validation callback.
  virtual CacheParts parts() const = 0;
  /// Bit i: parameter i doesn't count.
  virtual std::uint64_t ignored() const noexcept = 0;
  virtual const std::string& name() const noexcept = 0;
};

std::shared_ptr<CallCache> open_function(const std::shared_ptr<memory::MemoryCore>& memory,
                                         const FunctionInfo& info, const CacheOptions& options);

/// Reads a shelved entry into the frame. Throws NotFound if it is gone, DamagedData, WrongType.
EntryMetadata read_shelved(const std::shared_ptr<memory::MemoryCore>& memory,
                           const EntryAddress& address, const CallOps* ops, void* frame);
void clear_shelved(const std::shared_ptr<memory::MemoryCore>& memory, EntryAddress& address);

/// Throws BadArgument if a word of the captures looks like an address in this process.
void check_captures(const void* object, std::size_t bytes);

/// The build-id of the module that code is in; empty for none. Where addresses of code are told by
/// their place in a module, only the same build may read them. `check_build` throws CannotTravel.
std::string build_of(const void* code);
void check_build(const std::string& build, const void* code);

/// Whether what a callable holds can be part of a key.
template <class F>
constexpr bool is_keyable = std::is_pointer_v<F> || std::is_member_function_pointer_v<F> ||
                            std::is_empty_v<F> || Storable<F> || std::is_trivially_copyable_v<F>;

/// A function object's contribution to the key: its fields, or the bytes of its captures.
template <class F>
void hash_state(Hasher& hasher, const F& f) {
  if constexpr (std::is_pointer_v<F> || std::is_member_function_pointer_v<F> ||
                std::is_empty_v<F>) {
    return;
  } else if constexpr (Storable<F>) {
    hash_typed(hasher, f);
  } else {
    const auto bytes = member_bytes(f);
    hasher.block(bytes.data(), bytes.size());
  }
}

/// What it takes to open a Memory anew, in a worker or from a file.
struct MemoryParts {
  std::string location = {};
  std::string backend = {};
  std::string local = {};
  std::string codec = {};
  std::int32_t level = 0;
  bool compress = false;
  std::uint8_t mmap_mode = 0;
  std::int32_t verbose = 0;
  std::optional<std::uint64_t> bytes_limit = {};
  std::optional<std::uint64_t> items_limit = {};
  std::optional<std::int64_t> age_limit = {};
  bool single_flight = true;
  std::uint64_t hot_bytes = 0;
  bool fsync = false;
  std::uint8_t on_store_error = 0;
  bool read_only = false;
  std::uint8_t on_miss = 0;
};
MemoryParts parts_of(const std::shared_ptr<memory::MemoryCore>& memory);
/// Within a process, equal parts yield one and the same Memory.
std::shared_ptr<memory::MemoryCore> open_memory(const MemoryParts& parts);

template <class Ar>
void serialize_core(Ar& ar, std::shared_ptr<memory::MemoryCore>& memory) {
  MemoryParts parts;
  if constexpr (!Ar::decoding && !Ar::describing) parts = parts_of(memory);
  ar(parts);
  if constexpr (Ar::decoding) memory = open_memory(parts);
}

}  // namespace detail
}  // namespace hoist
