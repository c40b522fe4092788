// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/requirements.hpp>

#include <hoist/digest.hpp>
#include <hoist/values.hpp>

#include <filesystem>
#include <utility>

namespace hoist {

/// A file as an argument whose content counts, and not its name: a cached function that takes one
/// is computed anew when the file has changed, and only then.
///
///     double mean_of(FileContent table) { return mean(read_csv(table.path)); }
///     auto cached = memory.cache(mean_of);
///     cached({"measured.csv"});
///
/// It hashes as the bytes of the file; dumped or sent to a worker, it is the path. Hashing throws
/// NotFound or SystemError for a file that can't be read, and BadArgument for what is no regular
/// file (a directory, a pipe). Cost: the file is read once per process and remembered by device,
/// inode, size and times of change, as ccache does it; from then on it is only opened.
/// Files younger than two seconds are read each time, because a clock's tick may hide a second
/// change.
struct FileContent {
  std::filesystem::path path;

  /// The digest of the content, XXH3-128 over the digests of its pieces of 1 MiB. Thread-safe.
  [[nodiscard]] Digest digest() const;

  /// Whether the paths are the same.
  friend bool operator==(const FileContent&, const FileContent&) = default;

  /// For hoist: the content where it hashes, else the path.
  template <class Ar>
  void serialize(Ar& ar) {
    if constexpr (Ar::hashing) {
      const Digest content = digest();
      ar(content);
    } else {
      ar(path);
    }
  }
};

}  // namespace hoist
