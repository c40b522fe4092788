// SPDX-License-Identifier: BSD-3-Clause
#include "workers/shared_bytes.hpp"

#include <hoist/error.hpp>

#include <unistd.h>

#include <cerrno>
#include <utility>

#include "workers/descriptors.hpp"

namespace hoist::detail {

namespace {

class BornShared final : public Storage {
 public:
  BornShared(Fd fd, Mapping mapping)
      : Storage(mapping.data(), mapping.bytes(), true),
        fd_(std::move(fd)),
        mapping_(std::move(mapping)) {}
  Backing backing() const override { return {fd_.get(), 0}; }

 private:
  Fd fd_;
  Mapping mapping_;
};

}  // namespace

Fd shared_copy(std::span<const std::byte> bytes, const std::filesystem::path& folder) {
  Fd fd = memory_file("hoist-array", bytes.size(), folder);
  // write(2) fills fresh pages straight away; through a mapping each would be cleared first, and cost
  // a fault.
  std::uint64_t offset = 0;
  while (!bytes.empty()) {
    const ssize_t n = ::pwrite(fd.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw SystemError("can't copy an array to shared memory", errno);
    bytes = bytes.subspan(static_cast<std::size_t>(n));
    offset += static_cast<std::uint64_t>(n);
  }
  return fd;
}

std::shared_ptr<Storage> allocate_shared(std::size_t bytes) {
  try {
    Fd fd = memory_file("hoist-array", bytes);
    Mapping mapping = map_memory(fd.get(), bytes, MapAs::shared);
    return std::make_shared<BornShared>(std::move(fd), std::move(mapping));
  } catch (const SystemError&) {
    return nullptr;
  }
}

bool is_born_shared(const Storage& storage) {
  return dynamic_cast<const BornShared*>(&storage) != nullptr;
}

}  // namespace hoist::detail
