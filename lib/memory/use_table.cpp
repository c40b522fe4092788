// SPDX-License-Identifier: BSD-3-Clause
#include "memory/use_table.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <ctime>

#include "os/file.hpp"
#include "os/size_limit.hpp"

namespace hoist::detail::memory {

namespace {

constexpr std::uint64_t first_slots = 4096;
constexpr std::uint64_t max_slots = std::uint64_t{1} << 26;
/// Where an entry's slot may be: a run of this many, which is two cache lines.
constexpr std::uint64_t group = 8;

/// The bits of a time, 4 us, in which uses are counted: less than a hit takes, so that the order of
/// uses is kept.
constexpr std::uint64_t count_mask = (std::uint64_t{1} << 12) - 1;
/// Up to here each use counts one, beyond that every 1,024th one on average, as the lower bits of
/// its time say.
constexpr std::uint64_t exact_count = 2048;
constexpr std::uint64_t count_step = 1024;

struct Slot {
  std::atomic<std::uint64_t> tag;  // 0: free
  std::atomic<std::uint64_t> used;
};

struct Head {
  char magic[8];
  std::uint64_t slots;
  std::atomic<std::int64_t> items;
  std::atomic<std::int64_t> bytes;
  std::atomic<std::int64_t> filled;
  std::atomic<std::uint32_t> replaced;  // by a larger table under the same name
  std::uint32_t reserved;
  std::uint64_t reserved_too[2];
};
static_assert(sizeof(Head) == 64 && sizeof(Slot) == 16);
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

constexpr char magic[8] = {'h', 'o', 'i', 's', 't', 'u', 's', '2'};

std::size_t bytes_for(std::uint64_t slots) { return sizeof(Head) + slots * sizeof(Slot); }

/// Never below zero: what is removed may have come without being counted.
void add_to(std::atomic<std::int64_t>& count, std::int64_t n) {
  std::int64_t before = count.load(std::memory_order_relaxed);
  std::int64_t after = 0;
  do {
    const auto known = static_cast<std::uint64_t>(std::max<std::int64_t>(0, before));
    after = static_cast<std::int64_t>(known + static_cast<std::uint64_t>(n));
  } while (!count.compare_exchange_weak(before, std::max<std::int64_t>(0, after),
                                        std::memory_order_relaxed));
}

std::uint64_t now() {
  timespec time{};
  ::clock_gettime(CLOCK_REALTIME, &time);
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(time.tv_nsec);
}

}  // namespace

struct UseTable::Mapping {
  Mapping(os::Fd file, void* address, std::uint64_t count)
      : fd(std::move(file)), head(static_cast<Head*>(address)), slots(count) {}
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping() { ::munmap(head, bytes_for(slots)); }

  Slot* group_of(std::uint64_t tag) const {
    return reinterpret_cast<Slot*>(head + 1) + (tag / group * group & (slots - 1));
  }

  Slot* find(std::uint64_t tag) const {
    Slot* at = group_of(tag);
    for (std::uint64_t i = 0; i < group; ++i, ++at) {
      if (at->tag.load(std::memory_order_relaxed) == tag) return at;
    }
    return nullptr;
  }

  void count_use(std::uint64_t tag, std::uint64_t time) const {
    Slot* const at = find(tag);
    const std::uint64_t before =
        at == nullptr ? 0 : at->used.load(std::memory_order_relaxed) & count_mask;
    const bool counts = before < exact_count || time % count_step == 0;
    put(tag, (time & ~count_mask) | std::min(before + (counts ? 1 : 0), count_mask), at);
  }

  void put(std::uint64_t tag, std::uint64_t use) const { put(tag, use, find(tag)); }

  void put(std::uint64_t tag, std::uint64_t use, Slot* at) const {
    if (at == nullptr) {
      // A free slot, or that of the entry unused for longest.
      Slot* const first = group_of(tag);
      at = std::min_element(first, first + group, [](const Slot& a, const Slot& b) {
        const bool a_taken = a.tag.load(std::memory_order_relaxed) != 0;
        const bool b_taken = b.tag.load(std::memory_order_relaxed) != 0;
        if (a_taken != b_taken) return b_taken;
        return a.used.load(std::memory_order_relaxed) < b.used.load(std::memory_order_relaxed);
      });
      const std::uint64_t before = at->tag.exchange(tag, std::memory_order_relaxed);
      if (before == 0) head->filled.fetch_add(1, std::memory_order_relaxed);
    }
    at->used.store(use, std::memory_order_relaxed);
  }

  os::Fd fd;
  Head* head;
  std::uint64_t slots;  // as checked: the file's own count may be changed under our eyes
};

UseTable::UseTable(std::string path, bool read_only)
    : path_(std::move(path)), read_only_(read_only) {}
UseTable::~UseTable() = default;

std::unique_ptr<UseTable::Mapping> UseTable::map(int raw) const {
  os::Fd fd(raw);
  struct stat status{};
  Head head{};
  if (!fd || ::fstat(fd.get(), &status) != 0 ||
      ::pread(fd.get(), static_cast<void*>(&head), sizeof head, 0) != sizeof head) {
    return nullptr;
  }
  const std::uint64_t slots = head.slots;
  // One that says that it was replaced would be looked for, and mapped, again at each use.
  if (head.replaced != 0 || std::memcmp(head.magic, magic, sizeof magic) != 0 ||
      slots < first_slots || slots > max_slots || (slots & (slots - 1)) != 0 ||
      static_cast<std::uint64_t>(status.st_size) != bytes_for(slots)) {
    return nullptr;
  }
  void* address = ::mmap(nullptr, bytes_for(slots), read_only_ ? PROT_READ : PROT_READ | PROT_WRITE,
                         MAP_SHARED, fd.get(), 0);
  if (address == MAP_FAILED) return nullptr;
  return std::make_unique<Mapping>(std::move(fd), address, slots);
}

std::unique_ptr<UseTable::Mapping> UseTable::make(std::uint64_t slots,
                                                  const std::string& path) const {
  os::Fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
  Head head{};
  std::memcpy(head.magic, magic, sizeof magic);
  head.slots = slots;
  const os::SizeLimitAsError limited;
  // Every page is there before it is mapped: touching a hole on a full disk would be fatal.
  if (!fd || ::posix_fallocate(fd.get(), 0, static_cast<off_t>(bytes_for(slots))) != 0 ||
      ::pwrite(fd.get(), static_cast<const void*>(&head), sizeof head, 0) != sizeof head) {
    return nullptr;
  }
  return map(fd.release());
}

void UseTable::adopt(std::unique_ptr<Mapping> mapping) {
  if (!mappings_.empty()) mappings_.back()->fd.reset();
  current_.store(mapping.get(), std::memory_order_release);
  mappings_.push_back(std::move(mapping));
}

std::string UseTable::fresh_path() const {
  static std::atomic<unsigned> count{0};
  // Containers share directories but not process tables: the time tells processes of one id apart,
  // and those that were killed.
  return path_ + "." + std::to_string(::getpid()) + "-" + std::to_string(count.fetch_add(1)) + "-" +
         std::to_string(now());
}

int UseTable::open_table() const {
  return ::open(path_.c_str(), (read_only_ ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK);
}

bool UseTable::adopt_existing() {
  auto mapping = map(open_table());
  if (mapping == nullptr) return false;
  adopt(std::move(mapping));
  return true;
}

void UseTable::open() {
  const std::lock_guard lock(mutex_);
  adopt_existing();
}

bool UseTable::create() {
  if (read_only_) return false;
  current();  // is the larger one, if there is one
  const std::lock_guard lock(mutex_);
  if (const Mapping* mapping = current_) {
    struct stat status{};
    // Removed with its directory: what others record, they record elsewhere.
    if (::fstat(mapping->fd.get(), &status) != 0 || status.st_nlink > 0) return false;
  }
  if (adopt_existing()) return false;
  const std::string fresh = fresh_path();
  auto mapping = make(first_slots, fresh);
  // Whoever links first wins; a file that is there and no table is replaced.
  bool named = mapping != nullptr && ::link(fresh.c_str(), path_.c_str()) == 0;
  if (mapping != nullptr && !named && !adopt_existing()) {
    named = ::rename(fresh.c_str(), path_.c_str()) == 0;
  }
  ::unlink(fresh.c_str());
  if (named) adopt(std::move(mapping));
  return named;
}

UseTable::Mapping* UseTable::current() {
  Mapping* mapping = current_.load(std::memory_order_acquire);
  if (mapping == nullptr || mapping->head->replaced.load(std::memory_order_relaxed) == 0) {
    return mapping;
  }
  const std::lock_guard lock(mutex_);
  if (current_ == mapping) {
    if (auto larger = map(open_table())) adopt(std::move(larger));
  }
  return current_;
}

UseTable::Use UseTable::use_of(std::uint64_t tag) {
  const Mapping* mapping = current();
  const Slot* slot = mapping == nullptr ? nullptr : mapping->find(std::max<std::uint64_t>(tag, 1));
  if (slot == nullptr) return {};
  const std::uint64_t use = slot->used.load(std::memory_order_relaxed);
  std::uint64_t count = use & count_mask;
  if (count > exact_count) count = exact_count + (count - exact_count) * count_step;
  return {.time = use & ~count_mask, .count = count};
}

void UseTable::stored(std::uint64_t tag) {
  const Mapping* mapping = writable();
  if (mapping != nullptr) mapping->put(std::max<std::uint64_t>(tag, 1), now() & ~count_mask);
}

void UseTable::used(std::uint64_t tag) {
  const Mapping* mapping = writable();
  if (mapping != nullptr) mapping->count_use(std::max<std::uint64_t>(tag, 1), now());
}

void UseTable::erase(std::uint64_t tag) {
  const Mapping* mapping = writable();
  Slot* slot = mapping == nullptr ? nullptr : mapping->find(std::max<std::uint64_t>(tag, 1));
  if (slot == nullptr) return;
  slot->tag.store(0, std::memory_order_relaxed);
  mapping->head->filled.fetch_sub(1, std::memory_order_relaxed);
}

void UseTable::add(std::int64_t items, std::int64_t bytes) {
  const Mapping* mapping = writable();
  if (mapping == nullptr) return;
  add_to(mapping->head->items, items);
  add_to(mapping->head->bytes, bytes);
}

StoreUsage UseTable::usage() {
  const Mapping* mapping = current();
  if (mapping == nullptr) return {};
  const auto count = [](const std::atomic<std::int64_t>& value) {
    return static_cast<std::uint64_t>(
        std::max<std::int64_t>(0, value.load(std::memory_order_relaxed)));
  };
  return {.items = count(mapping->head->items), .bytes = count(mapping->head->bytes)};
}

void UseTable::maintain() {
  Mapping* mapping = writable();
  if (mapping == nullptr || mapping->slots >= max_slots ||
      static_cast<std::uint64_t>(std::max<std::int64_t>(0, mapping->head->filled)) * 2 <
          mapping->slots) {
    return;
  }
  // One thread of one process makes it larger; the others go on with what there is.
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock || current_ != mapping) return;
  if (::flock(mapping->fd.get(), LOCK_EX | LOCK_NB) != 0) return;
  std::unique_ptr<Mapping> larger;
  if (mapping->head->replaced == 0) {
    const std::string fresh = fresh_path();
    larger = make(mapping->slots * 4, fresh);
    if (larger != nullptr) {
      const Slot* slots = reinterpret_cast<const Slot*>(mapping->head + 1);
      for (std::uint64_t i = 0; i < mapping->slots; ++i) {
        const std::uint64_t tag = slots[i].tag.load(std::memory_order_relaxed);
        if (tag != 0) larger->put(tag, slots[i].used.load(std::memory_order_relaxed));
      }
      if (::rename(fresh.c_str(), path_.c_str()) == 0) {
        mapping->head->replaced.store(1);
        larger->head->items.fetch_add(mapping->head->items);
        larger->head->bytes.fetch_add(mapping->head->bytes);
      } else {
        larger.reset();
      }
    }
    ::unlink(fresh.c_str());
  }
  ::flock(mapping->fd.get(), LOCK_UN);
  if (larger != nullptr) adopt(std::move(larger));
}

}  // namespace hoist::detail::memory
