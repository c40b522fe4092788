// SPDX-License-Identifier: BSD-3-Clause
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <optional>

#include <hoist/error.hpp>

#include "base/file.hpp"
#include "memory/store.hpp"

namespace hoist::detail {

namespace {

constexpr std::string_view extension = ".hoist";

/// An entry file. Small ones are read whole with the first call, which also tells that they are small.
class LocalEntry final : public StoredEntry, private ByteSource {
 public:
  LocalEntry(std::string path, Fd fd) : path_(std::move(path)), fd_(std::move(fd)) {
    filled_ = read_at(fd_.get(), first_.data(), first_.size(), 0, path_);
  }

  ByteSource& bytes() override {
    if (filled_ == first_.size()) return *file();
    return *this;
  }
  std::uint64_t size() override {
    if (filled_ < first_.size()) return filled_;
    return regular_size(fd_.get()).value_or(0);
  }
  FileSource* file() override {
    if (!file_) file_.emplace(path_, std::move(fd_));
    return &*file_;
  }

 private:
  std::size_t read(std::byte* to, std::size_t n) override {
    n = std::min(n, filled_ - at_);
    std::memcpy(to, first_.data() + at_, n);
    at_ += n;
    return n;
  }
  std::optional<std::uint64_t> left() const override { return filled_ - at_; }

  std::string path_;
  Fd fd_;
  std::optional<FileSource> file_;
  std::size_t filled_ = 0;
  std::size_t at_ = 0;
  std::array<std::byte, 8192> first_;
};

class LocalStore final : public StoreBackend {
 public:
  explicit LocalStore(const StoreConfig& config)
      : root_(config.location.string() + "/"), fsync_(config.fsync) {}

  std::unique_ptr<StoredEntry> get(const std::string& name) override {
    std::string path = path_of(name);
    Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd) {
      if (errno == ENOENT || errno == ENOTDIR) return nullptr;
      throw SystemError("can't open \"" + path + "\"", errno);
    }
    return std::make_unique<LocalEntry>(std::move(path), std::move(fd));
  }

  void put(const std::string& name, const std::function<void(ByteSink&)>& write) override {
    const std::filesystem::path path = path_of(name);
    std::filesystem::create_directories(path.parent_path());
    AtomicFile file(path);
    write(file);
    file.commit(fsync_);
  }

  bool contains(const std::string& name) override {
    return ::access(path_of(name).c_str(), F_OK) == 0;
  }

  bool remove(const std::string& name) override { return ::unlink(path_of(name).c_str()) == 0; }

  void list(const std::string& prefix,
            const std::function<void(const StoreItem&)>& visit) override {
    std::error_code error;
    const std::filesystem::path start = root_ + prefix;
    for (std::filesystem::recursive_directory_iterator at(start, error), end; at != end;
         at.increment(error)) {
      if (error) return;
      if (at->path().extension() != extension || at.depth() == 0) continue;
      std::string name = at->path().string().substr(root_.size());
      name.resize(name.size() - extension.size());
      visit({std::move(name), at->file_size(error), {}});
    }
  }

  std::unique_ptr<StoreLock> lock(const std::string&) override { return nullptr; }

 private:
  std::string path_of(const std::string& name) const {
    std::string path;
    path.reserve(root_.size() + name.size() + extension.size());
    path += root_;
    path += name;
    path += extension;
    return path;
  }

  std::string root_;
  bool fsync_;
};

}  // namespace

std::unique_ptr<StoreBackend> make_local_store(const StoreConfig& config) {
  return std::make_unique<LocalStore>(config);
}

}  // namespace hoist::detail
