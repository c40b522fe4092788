// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/error.hpp>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <vector>

#include "base/byte_streams.hpp"
#include "base/checksum.hpp"
#include "memory/entry.hpp"
#include "memory/key_lock.hpp"
#include "memory/store.hpp"
#include "memory/use_table.hpp"
#include "os/file.hpp"
#include "os/staging.hpp"

namespace hoist::detail::memory {

namespace {

constexpr std::string_view extension = ".hoist";

std::uint64_t tag_of(const std::string& name) { return base::checksum(name.data(), name.size()); }

/// An entry file. Its first part is read by one call, which is all that a small one takes: an entry
/// says itself where it ends. Only who asks for more, or for the size, makes further calls.
class LocalEntry final : public FileEntry, private ByteSource {
 public:
  LocalEntry(std::string path, os::Fd fd) : path_(std::move(path)), fd_(std::move(fd)) {
    ssize_t got = -1;
    do got = ::pread(fd_.get(), first_.data(), first_.size(), 0);
    while (got < 0 && errno == EINTR);
    if (got < 0) os::throw_system("read", path_, errno);
    filled_ = static_cast<std::size_t>(got);
  }

  ByteSource& bytes() override {
    if (filled_ == first_.size()) return file();
    return *this;
  }
  std::uint64_t size() override { return file_size(); }
  os::FileSource& file() override {
    if (!file_) {
      file_.emplace(path_, std::move(fd_));
      file_->seek(filled_);
      file_->put_back(std::span(first_).first(filled_));
    }
    return *file_;
  }

 private:
  std::size_t read(std::byte* to, std::size_t n) override {
    const std::size_t ready = at_ < filled_ ? std::min(n, filled_ - at_) : 0;
    if (ready > 0) std::memcpy(to, first_.data() + at_, ready);
    at_ += ready;
    if (ready == n) return n;
    const std::size_t more = os::read_at(fd_.get(), to + ready, n - ready, at_, path_);
    at_ += more;
    return ready + more;
  }
  std::optional<std::uint64_t> left() const override {
    return file_size() > at_ ? file_size() - at_ : 0;
  }
  std::uint64_t file_size() const {
    if (!size_) size_ = os::regular_size(file_ ? file_->fd() : fd_.get()).value_or(0);
    return *size_;
  }

  std::string path_;
  os::Fd fd_;
  std::array<std::byte, 4096> first_;
  std::size_t filled_ = 0;
  std::size_t at_ = 0;
  mutable std::optional<std::uint64_t> size_;
  std::optional<os::FileSource> file_;
};

using Directory = std::unique_ptr<DIR, int (*)(DIR*)>;

/// Entries as files: docs/formats/entry.md has the layout of the directory.
class LocalStore final : public StoreBackend {
 public:
  LocalStore(const StoreConfig& config, os::FileLayer& files)
      : root_(config.location.string() + "/"),
        files_(files),
        staging_(root_, files, config.fsync),
        uses_(root_ + ".hoist/uses", config.read_only) {
    if (!config.read_only) staging_.sweep();
    uses_.open();
  }

  std::unique_ptr<StoredEntry> get(const std::string& name) override {
    auto entry = peek(name);
    if (entry) uses_.used(tag_of(name));
    return entry;
  }

  std::unique_ptr<StoredEntry> peek(const std::string& name) override {
    std::string path = path_of(name);
    // What is no file, such as a pipe, must not make the caller wait.
    os::Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!fd) {
      if (errno == ENOENT || errno == ENOTDIR) return nullptr;
      throw SystemError("can't open \"" + path + "\"", errno);
    }
    return std::make_unique<LocalEntry>(std::move(path), std::move(fd));
  }

  void put(const std::string& name, const std::function<void(ByteSink&)>& write) override {
    const std::string path = path_of(name);
    os::StagedFile file(staging_);
    write(file);
    struct stat old{};
    const bool replaces = ::stat(path.c_str(), &old) == 0;
    if (uses_.create()) list("", [](const StoreItem&) {});
    file.commit(path);
    uses_.stored(tag_of(name));
    uses_.add(replaces ? 0 : 1,
              static_cast<std::int64_t>(file.size()) - (replaces ? old.st_size : 0));
    uses_.maintain();
  }

  bool contains(const std::string& name) override {
    return ::access(path_of(name).c_str(), F_OK) == 0;
  }

  bool remove(const std::string& name) override { return remove_file(path_of(name), tag_of(name)); }

  void list(const std::string& prefix,
            const std::function<void(const StoreItem&)>& visit) override {
    const StoreUsage recorded = uses_.usage();
    StoreUsage counted;
    StoreItem item;
    walk(prefix, [&](const std::string& name, int directory, const char* file) {
      struct stat status{};
      if (::fstatat(directory, file, &status, AT_SYMLINK_NOFOLLOW) != 0) return;
      if (!S_ISREG(status.st_mode) && !S_ISLNK(status.st_mode)) return;
      item.name = name;
      item.bytes = static_cast<std::uint64_t>(status.st_size);
      ++counted.items;
      counted.bytes += item.bytes;
      const UseTable::Use use = uses_.use_of(tag_of(name));
      item.uses = use.count;
      std::chrono::nanoseconds used{use.time};
      if (used.count() == 0) {
        used = std::chrono::seconds(status.st_mtim.tv_sec) +
               std::chrono::nanoseconds(status.st_mtim.tv_nsec);
      }
      item.last_used = std::chrono::system_clock::time_point(
          std::chrono::duration_cast<std::chrono::system_clock::duration>(used));
      visit(item);
    });
    // What was counted is the truth, plus what was added meanwhile.
    if (prefix.empty()) {
      uses_.add(static_cast<std::int64_t>(counted.items - recorded.items),
                static_cast<std::int64_t>(counted.bytes - recorded.bytes));
    }
  }

  void clear(const std::string& prefix) override {
    Removals removals;
    walk(prefix, [&](const std::string& name, int, const char*) {
      removals.try_one([&] { return remove_file(path_of(name), tag_of(name)); });
    });
    prune(prefix, depth_of(prefix));
    removals.finish();
  }

  std::unique_ptr<StoreLock> lock(const std::string& name) override {
    return take_lock(name, true);
  }

  std::unique_ptr<StoreLock> try_lock(const std::string& name) override {
    return take_lock(name, false);
  }

  std::unique_ptr<StoreWait> announce_wait(const std::string& name,
                                           const std::vector<std::string>& held) override {
    std::vector<std::uint64_t> tags;
    for (const auto& one : held) tags.push_back(tag_of(one));
    return announce_key_wait(files_, root_ + ".hoist/waits", tags, tag_of(name));
  }

  StoreUsage usage() override { return uses_.usage(); }

 private:
  std::string path_of(const std::string& name) const {
    std::string path;
    path.reserve(root_.size() + name.size() + extension.size());
    path += root_;
    path += name;
    path += extension;
    return path;
  }

  std::unique_ptr<StoreLock> take_lock(const std::string& name, bool wait) {
    const std::string path = root_ + ".hoist/locks";
    auto lock = lock_key(files_, path, tag_of(name), wait);
    if (lock == nullptr && errno == ENOENT) {
      staging_.make_parent(path);
      lock = lock_key(files_, path, tag_of(name), wait);
    }
    return lock;
  }

  bool remove_file(const std::string& path, std::uint64_t tag) {
    struct stat old{};
    int error = ::lstat(path.c_str(), &old) == 0 ? 0 : errno;
    if (error == 0 && S_ISDIR(old.st_mode)) return false;
    if (error == 0) error = files_.remove(path);
    if (error == ENOENT || error == ENOTDIR) return false;
    if (error != 0) throw SystemError("can't remove \"" + path + "\"", error);
    uses_.erase(tag);
    uses_.add(-1, -static_cast<std::int64_t>(old.st_size));
    return true;
  }

  static Directory open_directory(const std::string& path) {
    return {::opendir(path.c_str()), &::closedir};
  }

  /// Symbolic links are none, since they may lead out of the store.
  static bool is_directory(DIR* parent, const dirent& entry) {
    if (entry.d_type != DT_UNKNOWN) return entry.d_type == DT_DIR;
    struct stat status{};
    return ::fstatat(::dirfd(parent), entry.d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
           S_ISDIR(status.st_mode);
  }

  /// Calls `visit(name, directory, file)` for each entry: files at depth 3, and nothing else.
  template <class Visit>
  void walk(const std::string& prefix, const Visit& visit) {
    descend(prefix, depth_of(prefix), visit);
  }

  static int depth_of(const std::string& prefix) {
    const auto slashes = std::count(prefix.begin(), prefix.end(), '/');
    return prefix.empty() ? 0 : static_cast<int>(slashes) + 1;
  }

  template <class Visit>
  void descend(const std::string& name, int depth, const Visit& visit) {
    const Directory directory = open_directory(root_ + name);
    if (!directory) return;
    // One text for all names, since there may be millions.
    std::string below = name.empty() ? std::string() : name + "/";
    const std::size_t front = below.size();
    while (const dirent* entry = ::readdir(directory.get())) {
      const std::string_view file = entry->d_name;
      if (file.starts_with('.')) continue;
      below.resize(front);
      if (depth < 3) {
        below += file;
        if (is_directory(directory.get(), *entry)) descend(below, depth + 1, visit);
      } else if (file.ends_with(extension)) {
        below += file.substr(0, file.size() - extension.size());
        visit(below, ::dirfd(directory.get()), entry->d_name);
      }
    }
  }

  /// Removes the directories that are empty.
  void prune(const std::string& name, int depth) {
    if (depth < 3) {
      std::vector<std::string> below;
      {
        const Directory directory = open_directory(root_ + name);
        if (!directory) return;
        while (const dirent* entry = ::readdir(directory.get())) {
          if (entry->d_name[0] != '.' && is_directory(directory.get(), *entry)) {
            below.push_back(name.empty() ? entry->d_name : name + "/" + entry->d_name);
          }
        }
      }
      for (const auto& one : below) prune(one, depth + 1);
    }
    if (!name.empty()) ::rmdir((root_ + name).c_str());
  }

  std::string root_;
  os::FileLayer& files_;
  os::Staging staging_;
  UseTable uses_;
};

}  // namespace

std::unique_ptr<StoreBackend> make_local_store(const StoreConfig& config, os::FileLayer& files) {
  return std::make_unique<LocalStore>(config, files);
}

std::unique_ptr<StoreBackend> make_local_store(const StoreConfig& config) {
  return make_local_store(config, os::system_files());
}

}  // namespace hoist::detail::memory
