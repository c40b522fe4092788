// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/memory.hpp>

#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "memory/store.hpp"
#include "os/file_layer.hpp"
#include "support/temp_dir.hpp"

using hoist::Memory;
using support::TempDir;

namespace {

std::string parent_of(const std::string& path) { return path.substr(0, path.rfind('/')); }

/// Performs every operation and records what a power failure could undo.
class ForgetfulFiles final : public hoist::detail::os::FileLayer {
 public:
  hoist::detail::os::Fd create(const std::string& path, mode_t mode) override {
    auto fd = hoist::detail::os::FileLayer::create(path, mode);
    if (fd) {
      paths_[fd.get()] = path;
      unsynced_content_.insert(path);
    }
    return fd;
  }
  void sync(int fd, const std::string& path) override {
    hoist::detail::os::FileLayer::sync(fd, path);
    unsynced_content_.erase(paths_.at(fd));
  }
  int rename(const std::string& from, const std::string& to) override {
    const int error = hoist::detail::os::FileLayer::rename(from, to);
    if (error == 0) {
      unsynced_names_.insert(to);
      if (unsynced_content_.erase(from) > 0)
        unsynced_content_.insert(to);
      else
        unsynced_content_.erase(to);
    }
    return error;
  }
  int make_directory(const std::string& path) override {
    const int error = hoist::detail::os::FileLayer::make_directory(path);
    if (error == 0) unsynced_names_.insert(path);
    return error;
  }
  int sync_directory(const std::string& path) override {
    std::erase_if(unsynced_names_, [&](const auto& name) { return parent_of(name) == path; });
    return hoist::detail::os::FileLayer::sync_directory(path);
  }

  /// Changes the directory to a state that a power failure could leave.
  void fail(const std::string& root, std::mt19937& random) {
    std::vector<std::filesystem::path> all;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root))
      all.push_back(entry);
    const auto chance = [&](unsigned in) { return random() % in == 0; };
    for (const auto& path : all) {
      std::error_code ignored;
      const std::string name = path.string();
      if (!std::filesystem::exists(path, ignored)) continue;
      if (unsynced_names_.contains(name) && chance(2)) {
        std::filesystem::remove_all(path, ignored);
        continue;
      }
      const bool is_record = name.ends_with(".hoist/uses");
      if (!std::filesystem::is_regular_file(path) ||
          !(is_record || unsynced_content_.contains(name)) || chance(3)) {
        continue;
      }
      std::string bytes = support::slurp(path);
      const std::size_t kept = bytes.empty() ? 0 : random() % bytes.size();
      if (chance(2)) {
        bytes.resize(kept);
      } else {
        for (std::size_t i = kept; i < bytes.size(); ++i) bytes[i] = chance(2) ? '\0' : bytes[i];
      }
      support::spill(path, bytes);
    }
  }

 private:
  std::map<int, std::string> paths_;
  std::set<std::string> unsynced_content_;
  std::set<std::string> unsynced_names_;
};

ForgetfulFiles* files = nullptr;
int calls = 0;

std::vector<int> sequence(int n) {
  ++calls;
  std::vector<int> values(static_cast<std::size_t>(50 + n * 37 % 2000));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = n + static_cast<int>(i);
  return values;
}

}  // namespace

TEST_CASE(
    "after a power failure no value is wrong, and with fsync none that was returned is lost") {
  hoist::register_store_backend("forgetful", [](const hoist::StoreConfig& config) {
    return hoist::detail::memory::make_local_store(config, *files);
  });
  std::mt19937 random(20);
  for (int round = 0; round < 40; ++round) {
    const bool fsync = round % 2 == 0;
    CAPTURE(round);
    const TempDir dir;
    const std::string location = dir / "cache";
    ForgetfulFiles layer;
    files = &layer;
    {
      const Memory memory(location, {.fsync = fsync, .backend = "forgetful"});
      const auto cached = memory.cache(sequence);
      for (int i = 0; i < 30; ++i) cached(i);
    }
    layer.fail(location, random);
    const Memory memory(location, {.items_limit = 1000});
    const auto cached = memory.cache(sequence);
    calls = 0;
    for (int i = 0; i < 30; ++i) {
      CAPTURE(i);
      const auto value = cached(i);
      CHECK(value == sequence(i));
    }
    const int recomputed = calls - 30;
    if (fsync) {
      CHECK(recomputed == 0);
    }
    for (int i = 0; i < 30; ++i) CHECK(cached.check_call_in_cache(i));
  }
}
