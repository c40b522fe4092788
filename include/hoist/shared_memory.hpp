// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/requirements.hpp>

#include <hoist/detail/forms_std.hpp>
#include <hoist/detail/shared_handle.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace hoist {

/// Bytes that processes share. A handle, like a lock (hoist/lock.hpp): copies, and what tasks get
/// of it, are the same memory, which lives as long as a handle to it in any process.
///
/// With a name it is also a file in /dev/shm, by which processes without a handle, and other
/// programs such as Python, find it. The name stays until unlink(). The file also records which
/// process made it: once that has ended, a later create() by the same user removes the name. (Not
/// by a process in another PID namespace.) Its bytes are rounded up to whole pages, and one page
/// follows them: docs/formats/shared_memory.md.
///
/// All functions may be called from several threads at a time. Access to the bytes is for the
/// program to synchronise.
class SharedMemory : public detail::SharedHandle {
 public:
  /// Zeros without a name. Throws BadArgument for 0 bytes, SystemError where there is no memory for
  /// them: it is set aside here, so that no later access fails.
  static SharedMemory create(std::size_t bytes);
  /// Zeros with a name of up to 200 characters. Throws BadArgument if there is a '/' behind the
  /// first character, which may be one, or the name is taken.
  static SharedMemory create(std::size_t bytes, const std::string& name);
  /// What has that name, also if another program made it. Throws NotFound if there is none,
  /// BadArgument for a name that can't be one, DamagedData for an empty file, SystemError where it
  /// can't be opened.
  static SharedMemory attach(const std::string& name);

  /// A single zero, without a name.
  SharedMemory() : SharedMemory(create(1)) {}
  SharedMemory(detail::SharedBlock block, std::size_t size, std::string name)
      : SharedHandle(std::move(block)), size_(size), name_(std::move(name)) {}

  /// Valid as long as a handle to them in this process.
  [[nodiscard]] std::span<std::byte> bytes() const noexcept { return {block().data(), size_}; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  /// As it was given; empty where there is none.
  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  /// Removes the name, if it is still that of this memory. The memory remains for those who have
  /// it.
  void unlink() const;

 private:
  std::size_t size_;
  std::string name_;
};

/// Makes shared memory whose names vanish with this.
class SharedMemoryManager {
 public:
  SharedMemoryManager() = default;
  SharedMemoryManager(SharedMemoryManager&&) noexcept = default;
  SharedMemoryManager& operator=(SharedMemoryManager&& other) noexcept;
  ~SharedMemoryManager() { shutdown(); }

  /// SharedMemory::create with a name of its own making. Throws BadArgument and SystemError
  /// likewise.
  SharedMemory create(std::size_t bytes);
  /// Removes the names of all it has made, unless this is a forked child. Also done by the
  /// destructor.
  void shutdown() noexcept;

 private:
  std::uint64_t owner_ = 0;  // the process
  std::vector<SharedMemory> made_;
};

namespace detail {

template <>
struct HandleParts<SharedMemory> {
  template <class Ar>
  static void send(Ar& ar, const SharedMemory& memory) {
    SharedBlock::send(ar, memory.block());
    ar.length(memory.size());
    Form<std::string>::traverse(ar, memory.name());
  }
  static SharedMemory receive(Decoder& decoder) {
    SharedBlock block = SharedBlock::receive(decoder);
    const std::size_t size = decoder.length(true);
    std::string name;
    Form<std::string>::traverse(decoder, name);
    if (size > block.bytes()) Decoder::throw_damaged();
    return {std::move(block), size, std::move(name)};
  }
};

}  // namespace detail

}  // namespace hoist
