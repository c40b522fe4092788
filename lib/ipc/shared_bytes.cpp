// SPDX-License-Identifier: BSD-3-Clause
#include "ipc/shared_bytes.hpp"

#include <hoist/error.hpp>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "arrays/only_mapping.hpp"
#include "os/kept_fd.hpp"
#include "os/memory_file.hpp"

namespace hoist::detail {

namespace ipc {

namespace {

class MappedSegment : public Storage {
 public:
  /// `fd`: keeps the file at hand, where it has these bytes for good.
  MappedSegment(os::KeptFd fd, std::uint64_t offset, os::Mapping mapping, std::size_t before,
                std::size_t bytes, bool writable)
      : Storage(mapping.data() + before, bytes, writable),
        fd_(std::move(fd)),
        offset_(offset),
        mapping_(std::move(mapping)) {}
  ~MappedSegment() override {
    if (pins_ != 0) mapping_.release();
  }
  Backing backing() const override { return {fd_.get(), offset_}; }

 private:
  os::KeptFd fd_;
  std::uint64_t offset_;
  os::Mapping mapping_;
};

class BornShared final : public MappedSegment {
 public:
  BornShared(os::KeptFd fd, os::Mapping mapping, std::size_t bytes)
      : MappedSegment(std::move(fd), 0, std::move(mapping), 0, bytes, true) {}
  void give_up(std::size_t bytes) override {
    if (passing() == Passing::written) return;  // others read it
    ::madvise(data(), bytes / os::huge_page * os::huge_page, MADV_REMOVE);
  }
};

class KeptDescriptor final : public Storage {
 public:
  explicit KeptDescriptor(os::KeptFd fd) : Storage(nullptr, 0, true), fd_(std::move(fd)) {
    set_passing(Passing::written);
  }
  Backing backing() const override { return {fd_.get(), 0}; }

 private:
  os::KeptFd fd_;
};

/// Throws SystemError where there is no descriptor left.
os::KeptFd keep(os::Fd fd) {
  os::KeptFd kept(std::move(fd));
  if (!kept) {
    throw SystemError(
        "too many shared arrays, locks and the like are in use for all to be kept open", EMFILE);
  }
  return kept;
}

/// Throws SystemError where there is no memory or descriptor left.
std::shared_ptr<BornShared> make_shared_storage(os::Fd file, std::size_t bytes) {
  os::KeptFd fd = keep(std::move(file));
  os::Mapping mapping = os::map_memory(fd.get(), bytes, os::MapAs::shared);
  return std::make_shared<BornShared>(std::move(fd), std::move(mapping), bytes);
}

}  // namespace

std::shared_ptr<Storage> allocate_shared(std::size_t bytes) {
  try {
    return make_shared_storage(os::memory_file("hoist-array", bytes), bytes);
  } catch (const SystemError&) {
    return nullptr;
  }
}

bool is_born_shared(const Storage& storage) {
  return dynamic_cast<const BornShared*>(&storage) != nullptr;
}

std::shared_ptr<Storage> keep_descriptor(os::Fd fd) {
  return std::make_shared<KeptDescriptor>(keep(std::move(fd)));
}

std::shared_ptr<Storage> allocate_growing(const char* name, std::size_t bytes,
                                          std::size_t reserved) {
  auto storage = make_shared_storage(os::growing_memory_file(name, bytes, reserved), bytes);
  storage->set_passing(Storage::Passing::written);
  return arrays::only_mapping(std::move(storage));
}

std::shared_ptr<Storage> map_segment(int fd, std::uint64_t offset, std::size_t bytes,
                                     os::MapAs as) {
  static const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  const std::uint64_t start = offset / page * page;
  const auto before = static_cast<std::size_t>(offset - start);
  os::Mapping mapping = os::map_memory(fd, bytes + before, as, start);
  // The bytes of a private copy may differ from the file's.
  os::KeptFd kept;
  if (as != os::MapAs::private_copy) kept = os::KeptFd(os::Fd(::fcntl(fd, F_DUPFD_CLOEXEC, 0)));
  return std::make_shared<MappedSegment>(std::move(kept), offset, std::move(mapping), before, bytes,
                                         as != os::MapAs::read_only);
}

}  // namespace ipc

std::shared_ptr<Storage> allocate_for_processes(const char* name, std::size_t bytes) {
  bytes = std::max<std::size_t>(bytes, 1);
  auto storage = ipc::make_shared_storage(os::memory_file(name, bytes), bytes);
  storage->set_passing(Storage::Passing::written);
  return arrays::only_mapping(std::move(storage));
}

}  // namespace hoist::detail
