// SPDX-License-Identifier: BSD-3-Clause
#include "arrays/file_mapping.hpp"

#include <hoist/error.hpp>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <utility>

#include "base/quoted.hpp"
#include "os/file.hpp"
#include "os/kept_fd.hpp"
#include "os/mapping.hpp"

namespace hoist::detail::arrays {

namespace {

class FileMapping final : public Storage {
 public:
  FileMapping(std::byte* data, std::size_t bytes, bool writable, os::Mapping mapping, os::KeptFd fd,
              std::uint64_t offset)
      : Storage(data, bytes, writable),
        mapping_(std::move(mapping)),
        fd_(std::move(fd)),
        offset_(offset) {}
  Backing backing() const override { return {fd_.get(), offset_}; }

 private:
  os::Mapping mapping_;
  os::KeptFd fd_;
  std::uint64_t offset_;
};

}  // namespace

std::shared_ptr<Storage> map_file(const os::FileSource& file, std::uint64_t offset,
                                  std::size_t bytes, MmapMode mode) {
  const auto size = file.size();
  if (!size || *size < offset || *size - offset < bytes) {
    throw DamagedData(base::quoted(file.path()) + " is cut short");
  }
  int fd = file.fd();
  os::Fd writing;
  const bool writes_file = mode == MmapMode::read_write || mode == MmapMode::write;
  if (writes_file) {
    writing = os::reopen_for_writing(fd, file.path());
    fd = writing.get();
  }
  const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  const std::uint64_t start = offset / page * page;
  const auto before = static_cast<std::size_t>(offset - start);
  const bool writable = mode != MmapMode::read;
  void* mapping = ::mmap(nullptr, bytes + before, writable ? PROT_READ | PROT_WRITE : PROT_READ,
                         mode == MmapMode::copy_on_write ? MAP_PRIVATE : MAP_SHARED, fd,
                         static_cast<off_t>(start));
  if (mapping == MAP_FAILED) os::throw_system("map", file.path(), errno);
  // Kept for arrays that are large or written to, so that worker processes can map them as well.
  // Not that of a private mapping, which may come to differ from the file.
  os::KeptFd kept;
  if (writes_file || (bytes >= large_storage && mode != MmapMode::copy_on_write)) {
    kept = os::KeptFd(os::Fd(::fcntl(fd, F_DUPFD_CLOEXEC, 0)), file.identity());
  }
  auto storage =
      std::make_shared<FileMapping>(static_cast<std::byte*>(mapping) + before, bytes, writable,
                                    os::Mapping(mapping, bytes + before), std::move(kept), offset);
  if (writes_file) storage->set_passing(Storage::Passing::written);
  return storage;
}

}  // namespace hoist::detail::arrays
