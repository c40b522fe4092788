// SPDX-License-Identifier: BSD-3-Clause
#include "ipc/shared_bytes.hpp"

#include <hoist/error.hpp>

#include <sys/mman.h>

#include <utility>

#include "os/kept_fd.hpp"
#include "os/mapping.hpp"
#include "os/memory_file.hpp"

namespace hoist::detail::ipc {

namespace {

class BornShared final : public Storage {
 public:
  BornShared(os::KeptFd fd, os::Mapping mapping)
      : Storage(mapping.data(), mapping.bytes(), true),
        fd_(std::move(fd)),
        mapping_(std::move(mapping)) {}
  Backing backing() const override { return {fd_.get(), 0}; }
  void give_up(std::size_t bytes) override {
    constexpr std::size_t huge_page = std::size_t{2} << 20;
    ::madvise(data(), bytes / huge_page * huge_page, MADV_REMOVE);
  }

 private:
  os::KeptFd fd_;
  os::Mapping mapping_;
};

}  // namespace

std::shared_ptr<Storage> allocate_shared(std::size_t bytes) {
  try {
    os::KeptFd fd(os::memory_file("hoist-array", bytes));
    if (!fd) return nullptr;
    os::Mapping mapping = os::map_memory(fd.get(), bytes, os::MapAs::shared);
    return std::make_shared<BornShared>(std::move(fd), std::move(mapping));
  } catch (const SystemError&) {
    return nullptr;
  }
}

bool is_born_shared(const Storage& storage) {
  return dynamic_cast<const BornShared*>(&storage) != nullptr;
}

}  // namespace hoist::detail::ipc
