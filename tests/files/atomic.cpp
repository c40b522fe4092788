// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>
#include <hoist/array.hpp>
#include <hoist/dump.hpp>
#include <hoist/error.hpp>

#include <csignal>
#include <ext/stdio_filebuf.h>
#include <istream>
#include <ostream>
#include <string>
#include <thread>
#include <vector>

#include "os/file_layer.hpp"
#include "support/bytes.hpp"
#include "support/temp_dir.hpp"

using hoist::Array;
using hoist::dump;
using hoist::load;
using support::TempDir;

namespace {

Array<double> filled(double value) {
  auto array = Array<double>::uninitialized({std::size_t{1} << 20});
  std::fill(array.begin(), array.end(), value);
  return array;
}

/// Records when data and names go to the disk.
class RecordingFiles final : public hoist::detail::os::FileLayer {
 public:
  explicit RecordingFiles(bool orders) : orders_(orders) {
    hoist::detail::os::replace_system_files(this);
  }
  ~RecordingFiles() override { hoist::detail::os::replace_system_files(nullptr); }
  void sync(int fd, const std::string& path) override {
    FileLayer::sync(fd, path);
    done.emplace_back("data");
  }
  int rename(const std::string& from, const std::string& to) override {
    done.emplace_back("rename");
    return FileLayer::rename(from, to);
  }
  bool renames_after_data(int) override { return orders_; }
  int sync_directory(const std::string& path) override {
    done.emplace_back("name");
    return FileLayer::sync_directory(path);
  }

  std::vector<std::string> done;

 private:
  bool orders_;
};

const std::vector<std::string> names{"a.hoist", "a.hoist.gz", "a.hoist.lz4", "a.hoist.zst"};

}  // namespace

TEST_CASE("a dump killed at any moment leaves the old file or the new one") {
  const TempDir dir;
  for (const auto& name : names) {
    CAPTURE(name);
    const auto path = dir / name;
    dump(filled(1), path);
    for (int i = 0; i < 12; ++i) {
      const pid_t child = ::fork();
      if (child == 0) {
        // The parent's threads do not exist after fork, but the child may start new ones.
        dump(filled(2), path);
        ::_exit(0);
      }
      std::this_thread::sleep_for(std::chrono::microseconds(1500 * i));
      ::kill(child, SIGKILL);
      ::waitpid(child, nullptr, 0);
      const auto found = load<Array<double>>(path);
      CHECK((found == filled(1) || found == filled(2)));
    }
  }
  // After a sweep the next one waits for a multiple of the time that it took.
  for (int i = 0; i < 100; ++i) {
    dump(1, dir / "last");
    if (support::count_entries(dir.path()) == names.size() + 1) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  CHECK(support::count_entries(dir.path()) == names.size() + 1);
}

TEST_CASE("a full disk is an error and leaves the old file, with every codec") {
  const TempDir dir;
  const std::string noise = support::sample_bytes('r', 4 << 20);
  for (const char* codec : {"zlib", "gzip", "bz2", "lz4", "zstd"}) {
    for (const char* name : {"s.hoist", "s.gz"}) {
      CAPTURE(codec);
      const auto path = dir / name;
      dump(1, path);
      const pid_t child = ::fork();
      if (child == 0) {
        // The limit makes writes fail like a full disk.
        ::signal(SIGXFSZ, SIG_IGN);
        const rlimit small{1 << 20, 1 << 20};
        ::setrlimit(RLIMIT_FSIZE, &small);
        try {
          dump(noise, path, {.compress = codec});
        } catch (const hoist::SystemError& error) {
          ::_exit(error.code() == EFBIG ? 0 : 2);
        }
        ::_exit(1);
      }
      int status = -1;
      ::waitpid(child, &status, 0);
      CHECK(status == 0);
      CHECK(load<int>(path) == 1);
    }
  }
  CHECK(support::count_entries(dir.path()) == 2);
}

TEST_CASE("values pass through a pipe one after another") {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const auto big = filled(3);
  std::jthread writer([&] {
    __gnu_cxx::stdio_filebuf<char> buffer(ends[1], std::ios::out | std::ios::binary);
    std::ostream out(&buffer);
    dump(big, out, {.compress = true});
    dump(std::string("between"), out);
    dump(big, out);
  });
  __gnu_cxx::stdio_filebuf<char> buffer(ends[0], std::ios::in | std::ios::binary);
  std::istream in(&buffer);
  CHECK(load<Array<double>>(in) == big);
  CHECK(load<std::string>(in) == "between");
  CHECK(load<Array<double>>(in) == big);
  CHECK_THROWS_AS(load<int>(in), hoist::NotFound);
}

TEST_CASE("a file that is replaced keeps its mode, its group and the links to it") {
  const TempDir dir;
  const auto rights = [](const std::filesystem::path& path) {
    struct stat status{};
    ::stat(path.c_str(), &status);
    return std::pair(status.st_mode & 07777, status.st_gid);
  };
  const auto file = dir / "f.hoist";
  dump(1, file);
  for (const mode_t mode : {0600u, 0640u, 0666u, 0777u}) {
    CAPTURE(mode);
    ::chmod(file.c_str(), mode);
    const bool other_group = ::geteuid() == 0 && ::chown(file.c_str(), 12345, 54321) == 0;
    dump(2, file);
    CHECK(rights(file) == std::pair(mode, other_group ? gid_t{54321} : ::getegid()));
  }
  std::filesystem::create_symlink("f.hoist", dir / "link");
  std::filesystem::create_symlink("link", dir / "link_to_link");
  dump(3, dir / "link_to_link");
  CHECK(load<int>(file) == 3);
  CHECK(std::filesystem::is_symlink(dir / "link"));
  CHECK(std::filesystem::is_symlink(dir / "link_to_link"));
  // As open(2) has it, a link to nothing is a name for what is made.
  std::filesystem::create_directory(dir / "sub");
  std::filesystem::create_symlink("sub/new.hoist", dir / "to_new");
  dump(4, dir / "to_new");
  CHECK(std::filesystem::is_symlink(dir / "to_new"));
  CHECK(load<int>(dir / "sub/new.hoist") == 4);
  std::filesystem::create_symlink("circle", dir / "circle");
  CHECK_THROWS_AS(dump(5, dir / "circle"), hoist::SystemError);
  CHECK(std::distance(std::filesystem::directory_iterator(dir.path()), {}) == 6);
}

TEST_CASE("a file that may not be written is not replaced") {
  const TempDir dir;
  const auto file = dir / "f.hoist";
  dump(1, file);
  ::chmod(file.c_str(), 0444);
  ::chmod(dir.path().c_str(), 0777);
  const pid_t child = ::fork();
  if (child == 0) {
    if (::geteuid() == 0 && ::seteuid(65534) != 0) ::_exit(2);
    try {
      dump(2, file);
    } catch (const hoist::SystemError&) {
      ::_exit(0);
    }
    ::_exit(1);
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  CHECK(status == 0);
  CHECK(load<int>(file) == 1);
}

TEST_CASE("data are on the disk before they take the place of others") {
  using Steps = std::vector<std::string>;
  const TempDir dir;
  const auto steps = [&](bool orders, const std::string& name, const hoist::DumpOptions& options) {
    RecordingFiles files(orders);
    dump(1, dir / name, options);
    return files.done;
  };
  CHECK(steps(false, "a", {}) == Steps{"rename"});
  CHECK(steps(false, "a", {}) == Steps{"data", "rename"});
  CHECK(steps(true, "a", {}) == Steps{"rename"});
  CHECK(steps(true, "a", {.fsync = true}) == Steps{"data", "rename", "name"});
  CHECK(steps(false, "b", {.fsync = true}) == Steps{"data", "rename", "name"});
  CHECK(steps(false, "b.gz", {}) == Steps{"rename"});
  CHECK(load<int>(dir / "a") == 1);
}

TEST_CASE("the file systems that order data and names by themselves are known") {
  const TempDir dir;
  hoist::detail::os::FileLayer files;
  const auto fd = files.create(dir / "f");
  struct statfs status{};
  REQUIRE(::fstatfs(fd.get(), &status) == 0);
  // ext4, or what else TMPDIR is on.
  CHECK(files.renames_after_data(fd.get()) ==
        (status.f_type == 0xef53 || status.f_type == 0x9123683e || status.f_type == 0x01021994));
  const auto proc = hoist::detail::os::open_for_reading("/proc/self/status");
  CHECK_FALSE(files.renames_after_data(proc.get()));
}
