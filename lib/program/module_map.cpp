// SPDX-License-Identifier: BSD-3-Clause
#include "program/module_map.hpp"

#include <link.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <iterator>
#include <utility>

#include "base/digest_stream.hpp"
#include "os/fork_hook.hpp"
#include "os/fresh_memory.hpp"
#include "os/mapped_file.hpp"

namespace hoist::detail::program {

namespace {

/// The run time that every C++ program has. Its interfaces are stable and its updates mend faults,
/// so a new version must not throw caches away; whoever disagrees sets `.version`.
constexpr std::array<std::string_view, 21> runtime_libraries = {
    "ld-linux",   "libanl.so",  "libasan.so", "libatomic.so", "libc++.so",   "libc++abi.so",
    "libc.so",    "libdl.so",   "libgcc_s",   "libm.so",      "libmvec.so",  "libpthread.so",
    "libresolv",  "librt.so",   "libstdc++",  "libtsan.so",   "libubsan.so", "libunwind.so",
    "libutil.so", "linux-gate", "linux-vdso"};

constexpr std::array<std::string_view, 7> system_directories = {
    "/lib/", "/lib32/", "/lib64/", "/usr/lib/", "/usr/lib32/", "/usr/lib64/", "/usr/libexec/"};

ModuleOrigin origin_of(const Module& module) {
  if (module.is_main) return ModuleOrigin::user;
  const std::string_view name = module.file_name();
  if (name.empty()) return ModuleOrigin::runtime;
  for (const std::string_view prefix : runtime_libraries) {
    if (name.starts_with(prefix)) return ModuleOrigin::runtime;
  }
  char* resolved = ::realpath(module.path.c_str(), nullptr);
  const std::string path = resolved != nullptr ? resolved : module.path;
  std::free(resolved);
  for (const std::string_view directory : system_directories) {
    if (path.starts_with(directory)) return ModuleOrigin::installed;
  }
  return ModuleOrigin::user;
}

std::shared_ptr<Module> describe(const dl_phdr_info& info) {
  auto module = std::make_shared<Module>();
  module->path = info.dlpi_name;
  module->bias = info.dlpi_addr;
  // Notes mostly follow the headers.
  os::populate(info.dlpi_phdr, info.dlpi_phnum * sizeof *info.dlpi_phdr);
  for (unsigned i = 0; i < info.dlpi_phnum; ++i) {
    const auto& part = info.dlpi_phdr[i];
    const Module::Segment segment = {.address = part.p_vaddr,
                                     .size = part.p_memsz,
                                     .file_size = part.p_filesz,
                                     .writable = (part.p_flags & PF_W) != 0,
                                     .readable = (part.p_flags & PF_R) != 0};
    if (part.p_type == PT_LOAD) module->segments.push_back(segment);
    if (part.p_type == PT_GNU_RELRO) module->relro = segment;
  }
  // A library that was loaded by a relative path: the working directory may be another by now.
  if (module->path.find('/') != std::string::npos && module->path.front() != '/') {
    if (auto file = os::mapped_file(module->first_byte()); !file.path.empty()) {
      module->path = std::move(file.path);
    }
  }
  for (unsigned i = 0; i < info.dlpi_phnum; ++i) {
    const auto& part = info.dlpi_phdr[i];
    if (part.p_type != PT_NOTE || part.p_memsz == 0 || !module->contains(part.p_vaddr)) continue;
    const auto* notes = reinterpret_cast<const std::byte*>(module->bias + part.p_vaddr);
    const auto id = find_build_id({notes, part.p_memsz});
    if (!id.empty()) module->build_id.assign(id.begin(), id.end());
  }
  return module;
}

struct Listing {
  os::LoadCounts counts;
  std::vector<std::shared_ptr<Module>> modules;
};

int add_module(dl_phdr_info* info, std::size_t /*size*/, void* context) {
  auto& listing = *static_cast<Listing*>(context);
  listing.counts = {.loaded = info->dlpi_adds, .unloaded = info->dlpi_subs};
  listing.modules.push_back(describe(*info));
  return 0;
}

std::string hex(std::span<const std::byte> bytes) {
  constexpr char digits[] = "0123456789abcdef";
  std::string text;
  for (const std::byte byte : bytes) {
    text += digits[std::to_integer<unsigned>(byte) >> 4];
    text += digits[std::to_integer<unsigned>(byte) & 15];
  }
  return text;
}

}  // namespace

std::string_view Module::file_name() const {
  const std::string_view name = path;
  return name.substr(name.rfind('/') + 1);
}

const void* Module::first_byte() const {
  if (segments.empty()) return nullptr;
  return reinterpret_cast<const void*>(bias + segments.front().address);
}

bool Module::contains(std::uint64_t address) const {
  return std::any_of(segments.begin(), segments.end(),
                     [&](const Segment& segment) { return segment.contains(address); });
}

bool Module::is_variable(std::uint64_t address) const {
  return !relro.contains(address) &&
         std::any_of(segments.begin(), segments.end(), [&](const Segment& segment) {
           return segment.writable && segment.contains(address);
         });
}

ElfImage* Module::image() {
  if (!opened_) {
    opened_ = true;
    if (!path.empty()) image_ = ElfImage::open(path);
    if (image_ != nullptr && !is_same_file(*image_)) image_ = nullptr;
  }
  return image_.get();
}

bool Module::is_same_file(const ElfImage& image) const {
  // A program may be rebuilt while an old process of it runs: the path then names other code than
  // what runs here. (/proc/self/exe still is the old file, unless the program was started through
  // the dynamic linker: then it is that.)
  if (!build_id.empty() || !image.build_id().empty()) {
    return std::equal(build_id.begin(), build_id.end(), image.build_id().begin(),
                      image.build_id().end());
  }
  return !segments.empty() && os::mapped_file(first_byte()).inode == image.inode();
}

ModuleOrigin Module::origin() {
  if (!origin_) origin_ = origin_of(*this);
  return *origin_;
}

std::string Module::identity() {
  if (!identity_.empty()) return identity_;
  if (!build_id.empty()) return identity_ = "build-id " + hex(build_id);
  // Code and constants are mapped as they are in the file, so they stand for it.
  base::DigestStream stream;
  for (const Segment& segment : segments) {
    if (segment.writable || !segment.readable) continue;
    const auto* begin = reinterpret_cast<const std::byte*>(bias + segment.address);
    stream.put(base::digest_of({begin, std::min(segment.file_size, segment.size)}));
  }
  return identity_ = "content " + stream.digest().hex();
}

ModuleMap::ModuleMap(const ModuleMap* older) {
  Listing listing;
  os::list_modules(add_module, &listing);
  counts_ = listing.counts;
  modules_ = std::move(listing.modules);
  if (!modules_.empty()) {  // the program comes first
    modules_.front()->is_main = true;
    modules_.front()->path = "/proc/self/exe";
  }
  const auto known = [&](const Module& module) -> std::shared_ptr<Module> {
    if (older == nullptr || older->counts_.unloaded != counts_.unloaded) return nullptr;
    for (const auto& candidate : older->modules_) {
      if (candidate->bias == module.bias && candidate->path == module.path &&
          candidate->build_id == module.build_id) {
        return candidate;
      }
    }
    return nullptr;
  };
  for (auto& module : modules_) {
    if (auto same = known(*module)) module = std::move(same);
    for (const Module::Segment& segment : module->segments) {
      const std::uint64_t begin = module->bias + segment.address;
      ranges_.push_back({begin, begin + segment.size, module.get()});
    }
  }
  std::sort(ranges_.begin(), ranges_.end(),
            [](const Range& a, const Range& b) { return a.begin < b.begin; });
}

Location ModuleMap::locate(const void* address) const {
  const auto value = reinterpret_cast<std::uint64_t>(address);
  const auto after =
      std::upper_bound(ranges_.begin(), ranges_.end(), value,
                       [](std::uint64_t at, const Range& range) { return at < range.begin; });
  if (after == ranges_.begin()) return {};
  const Range& range = *std::prev(after);
  if (value >= range.end) return {};
  return {range.module, value - range.module->bias};
}

namespace {

/// The process's one table.
struct Table {
  std::shared_ptr<const ModuleMap> latest;
  /// Held to copy or exchange `latest`, and while nothing else is called.
  std::mutex mutex;

  // What reading images allocates from; made before their mutex is held.
  std::pmr::memory_resource* memory = os::fresh_memory();

  // Mutexes aren't fair: who waits for `images` holds `turn`, so that a thread that takes it again
  // and again can't keep a fork out.
  std::mutex turn;
  std::mutex images;

  /// Both mutexes of images, for forks.
  void lock() {
    turn.lock();
    images.lock();
  }
  bool try_lock() { return std::try_lock(turn, images) == -1; }
  void unlock() {
    images.unlock();
    turn.unlock();
  }

  os::ForkHook mutex_hook{mutex};
  os::ForkHook images_hook{*this};
};

Table& table() {
  // Never destroyed: destructors of static objects ask too.
  static Table* const instance = new Table;
  return *instance;
}

}  // namespace

std::shared_ptr<const ModuleMap> loaded_modules() {
  const os::LoadCounts now = os::load_counts();
  Table& all = table();
  std::shared_ptr<const ModuleMap> known;
  {
    const std::lock_guard lock(all.mutex);
    known = all.latest;
  }
  if (known != nullptr && known->counts() == now) return known;
  auto listed = std::make_shared<const ModuleMap>(known.get());
  const std::lock_guard lock(all.mutex);
  // Another thread may have listed later than this one.
  if (all.latest == nullptr || all.latest->counts().loaded < listed->counts().loaded ||
      all.latest->counts().unloaded < listed->counts().unloaded) {
    all.latest = std::move(listed);
  }
  return all.latest;
}

std::unique_lock<std::mutex> lock_images() {
  Table& all = table();
  const std::lock_guard next(all.turn);
  return std::unique_lock(all.images);
}

}  // namespace hoist::detail::program
