// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/error.hpp>

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "arrays/file_mapping.hpp"
#include "base/checksum.hpp"
#include "base/expansion.hpp"
#include "base/run_ordered.hpp"
#include "codecs/shuffle.hpp"
#include "formats/container.hpp"
#include "os/run_parallel.hpp"

namespace hoist::detail::formats {

namespace {

/// From this size on a segment is read from its file by several threads.
constexpr std::size_t parallel_from = std::size_t{8} << 20;
constexpr std::size_t run_blocks = 4;
constexpr std::size_t max_schema_bytes = std::size_t{16} << 20;
/// Writers begin a new meta record after a MiB; memory for one is taken before its bytes are seen.
constexpr std::size_t max_meta_bytes = std::size_t{16} << 20;
/// No compressed block of a container takes less room than its head and one byte.
constexpr std::uint64_t least_stored_block = sizeof(BlockHead) + 1;
constexpr auto open_mark = RecordKind::open_segment;

}  // namespace

ContainerReader::ContainerReader(ByteSource& in, os::FileSource* file, std::string name,
                                 const LoadOptions& options)
    : in_(in), file_(file), name_(std::move(name)), options_(options) {
  ContainerHeader header{};
  get(&header, sizeof header);
  if (std::string_view(header.magic, sizeof header.magic) != container_magic) {
    damaged("it does not begin as one");
  }
  if (header.checksum != base::checksum(&header, offsetof(ContainerHeader, checksum))) {
    damaged("its header is changed");
  }
  if (header.version != 1) {
    throw DamagedData(name_ + " is a hoist container of version " + std::to_string(header.version) +
                      "; this library reads version 1");
  }
  const std::string codec(header.codec, ::strnlen(header.codec, sizeof header.codec));
  if (!codec.empty()) codec_ = &find_codec(codec);
  if (header.schema_bytes > max_schema_bytes) damaged("its schema has an impossible size");
  schema_.resize(header.schema_bytes);
  get(schema_.data(), schema_.size());
  if (header.schema_checksum != base::checksum(schema_.data(), schema_.size())) {
    damaged("its schema is changed");
  }
  if (options_.mmap != MmapMode::none && (codec_ != nullptr || file_ == nullptr)) {
    throw BadArgument(name_ +
                      " is compressed (or no regular file) and can't be mapped: load it "
                      "without mmap, or dump it with compress = false");
  }
}

void ContainerReader::damaged(const std::string& what) const {
  throw DamagedData(name_ + " is not a sound hoist container: " + what);
}

void ContainerReader::get(void* to, std::size_t n) {
  if (n == 0) return;
  if (in_.read(static_cast<std::byte*>(to), n) != n) damaged("it is cut short");
  position_ += n;
}

void ContainerReader::skip_padding() {
  std::byte ignored[container_align];
  get(ignored, (container_align - position_ % container_align) % container_align);
}

const RecordHead& ContainerReader::head() {
  if (!has_head_) {
    head_at_ = position_;
    get(&head_, sizeof head_);
    open_ = head_.kind == RecordKind::open_segment && codec_ == nullptr;
    if (open_) head_.kind = RecordKind::segment;
    if (head_.checksum != base::checksum(&head_, offsetof(RecordHead, checksum))) {
      damaged("a record's head is changed");
    }
    if (head_.width > codecs::max_shuffle_width || head_.width == 1)
      damaged("a record's head is wrong");
    if (head_.kind != RecordKind::end) ++records_;
    has_head_ = true;
  }
  return head_;
}

std::span<const std::byte> ContainerReader::next_meta() {
  if (head().kind != RecordKind::meta) return {};
  has_head_ = false;
  const auto bytes = static_cast<std::size_t>(head_.bytes);
  if (bytes > max_meta_bytes) damaged("a record has an impossible size");
  meta_.resize(bytes);
  payload(meta_.data(), bytes);
  return meta_;
}

void ContainerReader::expect_segment(std::size_t bytes) {
  if (head().kind != RecordKind::segment || head_.bytes != bytes) {
    damaged("a segment has another size than its value says");
  }
  const auto left = in_.left();
  const bool beyond_limit = bytes > options_.limits.max_bytes;
  // What is not there yet in full, because it is compressed or still to come, is granted up to a
  // limit, or as far as what is there justifies it.
  const bool unjustified = (codec_ != nullptr || !left) && beyond_limit &&
                           (!left || bytes / base::expansion_ratio > *left);
  // What is left of a compressed stream is a limit, too.
  const bool beyond_stream = file_ == nullptr && left && bytes > *left && codec_ == nullptr;
  if (unjustified || beyond_stream) {
    throw LimitExceeded(name_ + " holds an array of " + std::to_string(bytes) +
                        " bytes, if it is right; if you trust it, raise "
                        "LoadOptions::limits.max_bytes");
  }
  if (!left) return;
  const std::uint64_t blocks = (bytes + block_bytes - 1) / block_bytes;
  if (codec_ == nullptr ? bytes > *left : blocks > *left / least_stored_block) {
    damaged("it is cut short");
  }
}

/// An element takes at least one byte. For compressed data only an upper bound of what is left is
/// known.
std::uint64_t ContainerReader::trusted() const {
  const std::uint64_t justified = base::expanded(in_.left().value_or(~std::uint64_t{0}));
  return file_ != nullptr ? justified : std::min(justified, options_.limits.max_bytes);
}

void ContainerReader::read_segment(std::byte* to, std::size_t bytes) {
  has_head_ = false;
  if (codec_ == nullptr) skip_padding();
  payload(to, bytes);
}

std::shared_ptr<Storage> ContainerReader::take_segment(std::size_t bytes, bool writable) {
  if (options_.mmap != MmapMode::none) return map(bytes, writable);
  auto storage = allocate_storage(bytes, Fill::none);
  read_segment(storage->data(), bytes);
  return storage;
}

/// Before anything can be written through the mapping, the file says that the content may change:
/// whoever loads it after that, even after the death of this process, knows.
void ContainerReader::open_segment() {
  if (open_) return;
  const os::Fd writing = os::reopen_for_writing(file_->fd(), file_->path());
  os::write_at(writing.get(), std::as_bytes(std::span(&open_mark, 1)), head_at_, file_->path());
  open_ = true;
}

/// Asked again where a checksum differs: the segment may have been opened since its head was read.
bool ContainerReader::is_open() const {
  if (open_ || file_ == nullptr) return open_;
  std::byte kind{};
  return os::read_at(file_->fd(), &kind, 1, head_at_, file_->path().native()) == 1 &&
         kind == std::byte{static_cast<std::uint8_t>(RecordKind::open_segment)};
}

std::shared_ptr<Storage> ContainerReader::map(std::size_t bytes, bool writable) {
  if (writable && options_.mmap == MmapMode::read) {
    throw WrongType(name_ +
                    ": MmapMode::read maps arrays read-only: ask for Array<const T>, or "
                    "map with copy_on_write or read_write");
  }
  if (options_.mmap == MmapMode::read_write || options_.mmap == MmapMode::write) open_segment();
  has_head_ = false;
  skip_padding();
  auto storage = arrays::map_file(*file_, position_, bytes, options_.mmap);
  const std::uint64_t passed = bytes + sizeof(std::uint64_t);  // the checksum is not looked at
  file_->skip(passed);
  position_ += passed;
  return storage;
}

void ContainerReader::payload(std::byte* to, std::size_t n) {
  if (codec_ != nullptr) {
    compressed(to, n, head_.width);
  } else {
    plain(to, n);
  }
}

void ContainerReader::plain(std::byte* to, std::size_t n) {
  const std::size_t blocks = (n + block_bytes - 1) / block_bytes;
  std::vector<std::uint64_t> sums(blocks);
  const auto block_at = [&](std::size_t i) {
    return std::span(to + i * block_bytes, std::min(block_bytes, n - i * block_bytes));
  };
  if (file_ != nullptr && n >= parallel_from) {
    const std::uint64_t start = file_->position();
    // A thread takes several adjacent blocks, so that no two threads first touch the same huge
    // page.
    os::run_parallel(
        (blocks + run_blocks - 1) / run_blocks, os::transfer_threads(options_.threads),
        [&](std::size_t run) {
          const std::size_t end = std::min(blocks, (run + 1) * run_blocks);
          for (std::size_t i = run * run_blocks; i < end; ++i) {
            const auto block = block_at(i);
            if (os::read_at(file_->fd(), block.data(), block.size(), start + i * block_bytes,
                            file_->path().native()) != block.size()) {
              damaged("it is cut short");
            }
            sums[i] = base::checksum(block.data(), block.size());
          }
        });
    file_->skip(n);
    position_ += n;
  } else {
    for (std::size_t i = 0; i < blocks; ++i) {
      const auto block = block_at(i);
      get(block.data(), block.size());
      sums[i] = base::checksum(block.data(), block.size());
    }
  }
  std::uint64_t stored = 0;
  get(&stored, sizeof stored);
  if (stored != base::checksum(sums.data(), sums.size() * sizeof(std::uint64_t)) && !is_open()) {
    damaged("its content is changed");
  }
}

void ContainerReader::compressed(std::byte* to, std::size_t n, std::size_t width) {
  const BlockMethod method{codec_, 0, width};
  struct Slot {
    BlockHead head;
    std::vector<std::byte> stored;
    std::span<std::byte> block;
  };
  const unsigned threads = n <= block_bytes ? 1 : os::transfer_threads(options_.threads);
  std::vector<Slot> slots(n <= block_bytes ? 1 : base::ordered_slots(threads));
  std::span<std::byte> left(to, n);
  const auto start = [&](std::size_t i) {
    if (left.empty()) return false;
    Slot& slot = slots[i];
    get(&slot.head, sizeof slot.head);
    if (slot.head.bytes != std::min(left.size(), block_bytes) ||
        slot.head.stored_bytes > slot.head.bytes) {
      damaged("a block's head is changed");
    }
    slot.block = left.first(slot.head.bytes);
    left = left.subspan(slot.head.bytes);
    slot.stored.resize(slot.head.stored_bytes);
    get(slot.stored.data(), slot.stored.size());
    return true;
  };
  base::run_ordered(threads, {.start = start,
                              .work =
                                  [&](std::size_t i) {
                                    unpack_block(method, slots[i].head, slots[i].stored,
                                                 slots[i].block);
                                  },
                              .finish = [](std::size_t) {}});
}

void ContainerReader::begin_payload() {
  if (head_.kind == RecordKind::segment && codec_ == nullptr) skip_padding();
  has_head_ = false;
  left_ = head_.bytes;
  sums_.clear();
  in_payload_ = true;
}

/// Reads the next block of a record to the front of `to`, which has room for one.
std::size_t ContainerReader::next_block(std::span<std::byte> to) {
  const auto block =
      to.first(static_cast<std::size_t>(std::min<std::uint64_t>(left_, block_bytes)));
  if (block.empty()) return 0;
  if (codec_ == nullptr) {
    get(block.data(), block.size());
    sums_.push_back(base::checksum(block.data(), block.size()));
  } else {
    BlockHead head{};
    get(&head, sizeof head);
    if (head.bytes != block.size() || head.stored_bytes > head.bytes) {
      damaged("a block's head is changed");
    }
    stored_.resize(head.stored_bytes);
    get(stored_.data(), stored_.size());
    unpack_block({codec_, 0, head_.width}, head, stored_, block);
  }
  left_ -= block.size();
  return block.size();
}

void ContainerReader::end_payload() {
  in_payload_ = false;
  if (codec_ != nullptr) return;
  std::uint64_t expected = 0;
  get(&expected, sizeof expected);
  if (expected != base::checksum(sums_.data(), sums_.size() * sizeof(std::uint64_t)) &&
      !is_open()) {
    damaged("its content is changed");
  }
}

std::size_t ContainerReader::read_block(std::span<std::byte> to) {
  if (!in_payload_) begin_payload();
  const std::size_t got = next_block(to);
  if (got == 0) end_payload();
  return got;
}

void ContainerReader::verify() {
  std::vector<std::byte> block(block_bytes);
  while (head().kind != RecordKind::end) {
    if (head_.kind != RecordKind::segment && head_.kind != RecordKind::meta) {
      damaged("a record is of no known kind");
    }
    while (read_block(block) > 0) {
    }
  }
  finish();
  expect_end();
}

void ContainerReader::finish() {
  if (head().kind != RecordKind::end || head_.bytes != records_) damaged("its end is changed");
}

void ContainerReader::expect_end() {
  std::byte beyond;
  if (in_.read(&beyond, 1) != 0) damaged("there are bytes after its end");
}

}  // namespace hoist::detail::formats
