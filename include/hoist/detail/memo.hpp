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

/// Options of one cached function. Those left unset are the Memory's.
struct CacheOptions {
  /// Takes the place of the name that hoist finds. Functions of equal name and version share
  /// entries, also those of different programs.
  std::string name = {};
  /// Takes the place of the code's fingerprint: entries stay valid until the version changes.
  std::string version = {};
  /// Positions (from 0) of parameters that don't count. BadArgument for one that doesn't exist.
  std::vector<int> ignore = {};
  /// How much code the results depend on.
  CodeCheck code = CodeCheck::callees;
  /// Asked before a stored result is used; see `expires_after`.
  Validation validate = {};
  std::optional<MmapMode> mmap_mode = {};
  Compression compress = {};
  std::optional<int> verbose = {};
};

namespace detail {

namespace memory {
class MemoryCore;
class FunctionCache;
}  // namespace memory

/// What a cached function's templates know how to do with a call's frame.
struct CallOps {
  const Schema& (*entry_schema)();
  void (*compute)(void* frame);
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
  std::string name;
  std::vector<std::byte> value;  ///< the entry itself, where there is no store
  std::uint8_t mmap_mode = 0;    ///< how its arrays come back
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
};
/// Throws CannotTravel where there is a validation callback. Null: the empty ones.
CacheParts parts_of(const std::shared_ptr<memory::FunctionCache>& function);
CacheOptions options_of(const CacheParts& parts);

/// The function to be cached.
struct FunctionInfo {
  const void* code;                     ///< null: unknown
  const std::type_info* type;           ///< of the callable
  std::string_view signature;           ///< of the types, as the compiler renders them
  std::vector<std::string> unhashable;  ///< per parameter: empty, or why it can't be in the key
};

std::shared_ptr<memory::FunctionCache> open_function(
    const std::shared_ptr<memory::MemoryCore>& memory, const FunctionInfo& info,
    const CacheOptions& options);
/// Bit i: parameter i doesn't count.
std::uint64_t ignored_parameters(const memory::FunctionCache& function);

/// The value of a call: looked up, or computed and stored.
void run_call(memory::FunctionCache& function, const Call& call);
/// Computed and stored, whatever the store holds.
EntryMetadata recompute_call(memory::FunctionCache& function, const Call& call);
bool is_cached(memory::FunctionCache& function, const Call& call);
/// Makes sure that the entry exists; the value itself is read only if it had to be computed.
EntryAddress shelve_call(memory::FunctionCache& function, const Call& call);
std::string explain_call(memory::FunctionCache& function, const Call& call);
void clear_function(memory::FunctionCache& function);
const std::string& function_name(const memory::FunctionCache& function);

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
