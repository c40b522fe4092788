// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/bytes.hpp>
#include <hoist/detail/storage.hpp>
#include <hoist/dump.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "formats/spool.hpp"
#include "os/file.hpp"

namespace hoist::detail::formats {

/// The bytes of a file in a foreign format, read from front to back, once or twice. It knows how
/// many bytes there are or may be, so nothing is allocated for bytes that can't come.
class Input {
 public:
  /// `file` is the source itself where that is an uncompressed file, else null. `most`: how many
  /// bytes may come out of a source that does not know its length.
  Input(ByteSource& in, os::FileSource* file, std::string name, const LoadOptions& options,
        std::uint64_t most);

  const std::string& name() const noexcept { return name_; }
  const LoadOptions& options() const noexcept { return options_; }
  /// Of the file that is read; empty for streams.
  const std::filesystem::path& path() const noexcept { return path_; }
  void set_path(std::filesystem::path path) { path_ = std::move(path); }
  /// Offset of the next byte in the uncompressed stream.
  std::uint64_t position() const noexcept { return start_ + at_; }
  /// True where arrays can be mapped, which also has been asked for.
  bool maps() const noexcept { return file_ != nullptr && options_.mmap != MmapMode::none; }

  std::byte byte() {
    if (at_ == end_) fill();
    return buffer_[at_++];
  }
  /// Throws DamagedData where the input ends first.
  void get(void* to, std::size_t n) {
    if (n > end_ - at_) {
      get_more(static_cast<std::byte*>(to), n);
      return;
    }
    std::memcpy(to, buffer_.data() + at_, n);
    at_ += n;
  }
  template <class T>
  T number() {
    T value;
    get(&value, sizeof value);
    return value;
  }
  /// Throws DamagedData or LimitExceeded unless so many bytes can follow.
  void expect(std::uint64_t n) const;
  /// So many bytes of text; memory grows with what arrives.
  std::string text(std::size_t n);
  void skip(std::size_t n);
  /// As `get`, large ones read by several threads straight to their place.
  void get_large(std::byte* to, std::size_t n);
  /// So many bytes in memory of their own, likewise.
  std::shared_ptr<Storage> bytes(std::size_t n);
  /// Elements of an array: mapped where asked for, else read; null in a first pass.
  std::shared_ptr<Storage> elements(std::size_t bytes);
  /// True if nothing follows.
  bool at_end();

  /// Begins a first pass over what follows, which can be read again after `rewind`. If the source
  /// itself can't be read again, its bytes are kept in a Spool, and large stretches that are passed
  /// over in memory, from where the second pass takes them.
  void begin_first_pass();
  /// Passes over bytes that the second pass asks for by `bytes`, `elements` or `take_passed`.
  void pass_over(std::size_t n);
  /// In a second pass: such bytes that come next, if they are in memory; else null. Arrays of
  /// objects are read in the first pass, too: then a copy, which may be changed.
  std::shared_ptr<Storage> take_passed(std::size_t n);
  void rewind();

  /// Throws DamagedData with the file's name and the position.
  [[noreturn]] void damaged(const std::string& what) const;
  [[noreturn]] void limit(const std::string& what) const;

 private:
  void fill();
  void get_more(std::byte* to, std::size_t n);
  std::size_t read_more(std::byte* to, std::size_t n);
  std::optional<std::uint64_t> left() const;
  void skip_buffered(std::size_t n);
  void keep_read();

  ByteSource& in_;
  os::FileSource* file_;
  std::string name_;
  std::filesystem::path path_;
  const LoadOptions& options_;
  std::uint64_t most_;
  std::uint64_t start_ = 0;  // of the buffer
  std::size_t at_ = 0;
  std::size_t end_ = 0;
  std::vector<std::byte> buffer_;

  enum class Pass : unsigned char { only, first, second };
  Pass pass_ = Pass::only;
  std::uint64_t first_ = 0;  // where the passes begin
  // If the source itself can't be read again:
  std::optional<Spool> kept_;
  std::size_t kept_at_ = 0;      // first pass: the buffer's bytes from here on are not kept yet
  std::string_view kept_bytes_;  // second pass: what is left of the bytes kept in memory
  std::deque<std::shared_ptr<Storage>> passed_;
  std::uint64_t passed_bytes_ = 0;
};

/// Reads `n` bytes at the file's position, many of them by several threads, and moves behind them.
/// Throws DamagedData if they are not there.
void read_large(os::FileSource& file, std::byte* to, std::size_t n, unsigned threads);

}  // namespace hoist::detail::formats
