// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/bytes.hpp>
#include <hoist/codec.hpp>
#include <hoist/detail/memo.hpp>
#include <hoist/store.hpp>

#include <cstdint>
#include <span>
#include <string>

#include "os/file.hpp"

namespace hoist::detail::memory {

/// An entry in a plain local file, from which its arrays can be mapped.
class FileEntry : public StoredEntry {
 public:
  /// The file from its beginning. Use either this or `bytes`.
  virtual os::FileSource& file() = 0;
};

/// The result in a call's frame, encoded. Its large parts are borrowed from the frame.
Encoded encode_result(const Call& call);
/// Whether two calls have the same short arguments.
bool is_equal(std::span<const std::byte> a, std::span<const std::byte> b);
/// Size of all its parts.
std::uint64_t encoded_bytes(const Encoded& value);

/// Writes a call's entry: its metadata, its short arguments, and its result. That is `result`; only
/// where its structure is longer than a record may be, it is encoded again piece by piece.
void write_entry(ByteSink& out, const Codec* codec, int level, const EntryMetadata& metadata,
                 const Call& call, const Encoded& result);

/// What has been found in an entry.
enum class EntryState {
  sound,
  other_type,       ///< its result has another type
  other_arguments,  ///< it belongs to other arguments of the same digest
  rejected,         ///< the caller's validation said no
  changed,          ///< a cached function that was called for it has changed
};

/// How to read an entry.
struct EntryQuery {
  const CallOps* ops = nullptr;
  void* frame = nullptr;  ///< null: only the metadata
  /// If not null, compared with the entry's; then the entry's dependencies must be unchanged, too.
  const std::span<const std::byte>* content = nullptr;
  const Validation* validate = nullptr;
  MmapMode mmap = MmapMode::none;
};

/// Copies the bytes of an entry, and throws DamagedData unless they are a sound one. `name` is for
/// messages.
void copy_entry(ByteSource& from, ByteSink& to, const std::string& name);

/// Reads an entry. Throws DamagedData or SystemError; WrongType only where a read-only mapping is
/// asked for in a type that can be written to.
EntryState read_entry(StoredEntry& entry, const std::string& name, const EntryQuery& query,
                      EntryMetadata& metadata);

}  // namespace hoist::detail::memory
