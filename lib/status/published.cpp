// SPDX-License-Identifier: BSD-3-Clause
#include "status/published.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <new>

#include "os/fork_hook.hpp"
#include "os/process_end.hpp"
#include "status/directory.hpp"

namespace hoist::detail::status {

namespace {

std::uint64_t nanoseconds_of(clockid_t clock) noexcept {
  timespec now{};
  ::clock_gettime(clock, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(now.tv_nsec);
}

/// The file of this process. A forked child makes its own; the one that it inherited stays mapped,
/// for the functions that are published there.
class OwnFile {
 public:
  /// Tells nobody of trouble: a program runs as well without.
  OwnFile() noexcept {
    try {
      create();
    } catch (...) {
    }
  }

  File* get() const noexcept { return file_; }
  void remove() const noexcept {
    if (!path_.empty()) ::unlink(path_.c_str());
  }

 private:
  void create() {
    const char* const wanted = std::getenv("HOIST_TOP");
    if (wanted != nullptr && wanted[0] == '0' && wanted[1] == '\0') return;
    std::string path = directory_path();
    const os::Fd directory = open_directory(path, true);
    struct stat names{};
    // Programs of other PID namespaces may share the directory.
    if (!directory || ::stat("/proc/self/ns/pid", &names) != 0) return;
    std::array<char, 64> name{};
    std::snprintf(name.data(), name.size(), "%d-%llu", ::getpid(),
                  static_cast<unsigned long long>(names.st_ino));
    constexpr int flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    os::Fd fd(::openat(directory.get(), name.data(), flags, 0600));
    if (!fd && errno == EEXIST) {
      // Of this process before it called exec, or of a killed one that had its number.
      ::unlinkat(directory.get(), name.data(), 0);
      fd = os::Fd(::openat(directory.get(), name.data(), flags, 0600));
    }
    if (!fd) return;
    // The memory is there before it is written, or a full disk would end the program.
    void* const memory =
        ::posix_fallocate(fd.get(), 0, sizeof(File)) == 0
            ? ::mmap(nullptr, sizeof(File), PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0)
            : MAP_FAILED;
    if (memory == MAP_FAILED) {
      ::unlinkat(directory.get(), name.data(), 0);
      return;
    }
    path_ = path.append("/").append(name.data());
    // Not by a constructor, which would touch all pages: what is new is zero, hence free.
    file_ = static_cast<File*>(memory);
    file_->header.made = nanoseconds_of(CLOCK_BOOTTIME);
    file_->header.slots = static_cast<std::uint32_t>(file_->slots.size());
    file_->header.version = version;
    file_->header.magic = magic;
  }

  File* file_ = nullptr;
  std::string path_;
};

constinit os::PerProcess<OwnFile> own_file;

/// Null if nothing is published.
File* file_of_this_process() noexcept {
  if (const OwnFile* known = own_file.find()) return known->get();
  try {
    const OwnFile& made = own_file.here();
    if (made.get() == nullptr) return nullptr;
    os::at_process_end([] {
      if (const OwnFile* own = own_file.find()) own->remove();
    });
    return made.get();
  } catch (...) {
    return nullptr;
  }
}

/// Null if all are taken.
Slot* take_slot(File& file) noexcept {
  for (Slot& slot : file.slots) {
    SlotState state = slot.state.load(std::memory_order_relaxed);
    if (state != SlotState::free) continue;
    if (slot.state.compare_exchange_strong(state, SlotState::in_change)) {
      slot.use.fetch_add(1, std::memory_order_release);
      return &slot;
    }
  }
  file.header.left_out.fetch_add(1, std::memory_order_relaxed);
  return nullptr;
}

template <std::size_t n>
void copy_text(std::array<char, n>& to, std::string_view text) {
  to = {};
  std::copy_n(text.data(), std::min(text.size(), n - 1), to.data());
}

/// The file of this process if the slot is in it: it may be one of the parent's.
File* own_file_with(const Slot* slot) noexcept {
  const OwnFile* const own = own_file.find();
  File* const file = own == nullptr ? nullptr : own->get();
  if (file == nullptr || slot < file->slots.begin() || slot >= file->slots.end()) return nullptr;
  return file;
}

}  // namespace

PublishedLoop::PublishedLoop(SlotState kind, std::string_view backend, unsigned workers,
                             bool measures_time) {
  if (kind == SlotState::free) return;
  File* const file = file_of_this_process();
  if (file == nullptr) return;
  slot_ = take_slot(*file);
  if (slot_ == nullptr) return;
  LoopCounters& loop = *new (slot_->content.data()) LoopCounters;
  loop.started = nanoseconds_of(CLOCK_REALTIME);
  if (!measures_time) loop.busy.store(unknown, std::memory_order_relaxed);
  loop.workers = workers;
  copy_text(loop.backend, backend);
  slot_->state.store(kind, std::memory_order_release);
}

PublishedLoop::~PublishedLoop() {
  File* const file = own_file_with(slot_);
  if (file == nullptr) return;
  file->header.tasks.fetch_add(slot_->loop().done.load(std::memory_order_relaxed),
                               std::memory_order_relaxed);
  file->header.loops.fetch_add(1, std::memory_order_relaxed);
  slot_->state.store(SlotState::free, std::memory_order_release);
}

LoopCounters* PublishedLoop::counters() const noexcept {
  return slot_ != nullptr && own_file_with(slot_) != nullptr ? &slot_->loop() : nullptr;
}

void PublishedLoop::set_total(std::size_t tasks) noexcept {
  if (LoopCounters* const loop = counters()) loop->total.store(tasks, std::memory_order_relaxed);
}

void PublishedLoop::add_done(std::size_t tasks, std::size_t failed) noexcept {
  LoopCounters* const loop = counters();
  if (loop == nullptr) return;
  loop->done.fetch_add(tasks, std::memory_order_relaxed);
  // Who has counted more may have been here before.
  std::uint64_t known = loop->failed.load(std::memory_order_relaxed);
  while (known < failed &&
         !loop->failed.compare_exchange_weak(known, failed, std::memory_order_relaxed)) {
  }
}

void PublishedLoop::add_busy(double seconds) noexcept {
  LoopCounters* const loop = counters();
  if (loop == nullptr || loop->busy.load(std::memory_order_relaxed) == unknown) return;
  loop->busy.fetch_add(static_cast<std::uint64_t>(seconds * 1e9), std::memory_order_relaxed);
}

PublishedFunction::PublishedFunction(std::string_view name) {
  File* const file = file_of_this_process();
  if (file == nullptr) return;
  slot_ = take_slot(*file);
  if (slot_ == nullptr) return;
  copy_text((new (slot_->content.data()) FunctionCounters)->name, name);
  slot_->state.store(SlotState::function, std::memory_order_release);
}

PublishedFunction::~PublishedFunction() {
  if (own_file_with(slot_) != nullptr) {
    slot_->state.store(SlotState::free, std::memory_order_release);
  }
}

}  // namespace hoist::detail::status
