// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <hoist/array.hpp>
#include <hoist/dump.hpp>

#include <csignal>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "support/temp_dir.hpp"

using hoist::Array;
using hoist::dump;
using hoist::load;
using hoist::MmapMode;
using support::TempDir;

namespace {

struct Result {
  std::string name;
  Array<double> values;
  std::map<std::string, std::vector<int>> tables;
  bool operator==(const Result&) const = default;
};

Result sample() {
  Array<double> values({3, 200});
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<double>(i) / 7;
  return {"sample", values, {{"short", {1, 2}}, {"long", std::vector<int>(3000, 5)}}};
}

const std::vector<std::string> names{"a.hoist", "a.hoist.gz", "a.hoist.zst", "noextension"};

}  // namespace

TEST_CASE("a value comes back from every kind of file") {
  const TempDir dir;
  for (const auto& name : names) {
    CAPTURE(name);
    dump(sample(), dir / name);
    CHECK(load<Result>(dir / name) == sample());
  }
  dump(sample(), dir / "b.hoist", {.compress = {"zstd", 9}});
  CHECK(load<Result>(dir / "b.hoist") == sample());
  dump(sample(), dir / "b.gz", {.compress = false});
  CHECK(support::slurp(dir / "b.gz").starts_with("\x89HOIST"));
  CHECK(support::count_entries(dir.path()) == names.size() + 2);
}

TEST_CASE("large values use several records and threads") {
  const TempDir dir;
  std::vector<std::string> words;
  for (int i = 0; i < 400000; ++i) words.push_back("word " + std::to_string(i));
  words.emplace_back(100000, 'x');
  auto big = Array<float>::uninitialized({5, 1 << 20}, hoist::Order::fortran);
  for (std::size_t i = 0; i < big.size(); ++i) big[i] = static_cast<float>(i % 1000);
  for (const char* name : {"w", "w.gz", "w.zst"}) {
    dump(std::pair(words, big), dir / name);
    const auto back = load<std::pair<std::vector<std::string>, Array<float>>>(dir / name);
    CHECK(back.first == words);
    CHECK(back.second == big);
    CHECK(back.second.order() == hoist::Order::fortran);
  }
}

TEST_CASE("arrays are mapped in every mode") {
  const TempDir dir;
  const auto path = dir / "m.hoist";
  dump(sample(), path);
  using Other = std::pair<std::string, Array<const double>>;
  CHECK_THROWS_AS(load<Other>(path), hoist::WrongType);
  dump(sample().values, path);

  const auto fixed = load<Array<const double>>(path, {.mmap = MmapMode::read});
  CHECK(fixed == Array<const double>(sample().values));
  CHECK(reinterpret_cast<std::uintptr_t>(fixed.data()) % 64 == 0);
  CHECK_THROWS_AS(load<Array<double>>(path, {.mmap = MmapMode::read}), hoist::WrongType);

  auto own = load<Array<double>>(path, {.mmap = MmapMode::copy_on_write});
  own(0, 0) = 99;
  CHECK(fixed(0, 0) == 0);
  auto common = load<Array<double>>(path, {.mmap = MmapMode::read_write});
  common(0, 0) = 77;
  CHECK(fixed(0, 0) == 77);

  dump(sample().values, dir / "z.zst");
  CHECK_THROWS_AS(load<Array<double>>(dir / "z.zst", {.mmap = MmapMode::read}), hoist::BadArgument);
}

TEST_CASE("another type is refused, naming the difference") {
  const TempDir dir;
  dump(std::vector<int>{1}, dir / "v");
  CHECK_THROWS_WITH_AS(load<std::vector<long>>(dir / "v"), doctest::Contains("[i64]"),
                       hoist::WrongType);
  CHECK_THROWS_AS(load<int>(dir / "absent"), hoist::NotFound);
  CHECK_THROWS_AS(load<int>(dir.path()), hoist::SystemError);
  CHECK_THROWS_AS(dump(1, dir / "no/such/directory"), hoist::NotFound);
  CHECK_THROWS_AS(dump(1, dir / "v", {.compress = 10}), hoist::BadArgument);
  CHECK_THROWS_AS(dump(1, dir / "v", {.compress = "lzw"}), hoist::BadArgument);
  support::spill(dir / "text", "just some text, longer than a header of sixty-four bytes is......");
  CHECK_THROWS_AS(load<int>(dir / "text"), hoist::DamagedData);
  support::spill(dir / "empty", "");
  CHECK_THROWS_AS(load<int>(dir / "empty"), hoist::DamagedData);
}

TEST_CASE("a file cut anywhere is refused, a flipped byte never gives a wrong value") {
  const TempDir dir;
  const Result value{"x", Array<double>::from_vector({1, 2, 3, 4}), {{"k", {1}}}};
  for (const auto& [name, compress] : std::map<std::string, hoist::Compression>{
           {"f.hoist", {}}, {"f.gz", {}}, {"f.zst", {}}, {"f.blocks", "zstd"}}) {
    CAPTURE(name);
    dump(value, dir / name, {.compress = compress});
    const std::string good = support::slurp(dir / name);
    for (std::size_t n = 0; n < good.size(); ++n) {
      support::spill(dir / "cut", good.substr(0, n));
      CHECK_THROWS_AS(load<Result>(dir / "cut"), hoist::Error);
    }
    support::spill(dir / "long", good + "!");
    CHECK_THROWS_AS(load<Result>(dir / "long"), hoist::Error);
    for (std::size_t i = 0; i < good.size(); ++i) {
      for (const int mask : {0x01, 0x80, 0xFF}) {
        std::string bad = good;
        bad[i] = static_cast<char>(bad[i] ^ mask);
        support::spill(dir / "flip", bad);
        try {
          const bool right = load<Result>(dir / "flip") == value;
          CHECK(right);
        } catch (const hoist::Error&) {
        }
      }
    }
  }
}

TEST_CASE("an unfinished dump leaves the old file, and its temporary is swept") {
  const TempDir dir;
  dump(1, dir / "keep");
  std::this_thread::sleep_for(std::chrono::milliseconds(100));  // past the pause between sweeps
  // A killed writer leaves an unlocked temporary; that of a live writer is locked.
  support::spill(dir / ".hoist-tmp-1-1", "rest");
  support::spill(dir / ".hoist-tmp-1-2", "in use");
  const int held = ::open((dir / ".hoist-tmp-1-2").c_str(), O_RDWR);
  REQUIRE(::flock(held, LOCK_EX) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    // The limit makes the write fail like a full disk; the parent process is not affected.
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit small{1 << 20, 1 << 20};
    ::setrlimit(RLIMIT_FSIZE, &small);
    try {
      dump(std::vector<double>(1 << 20, 1.0), dir / "keep");
    } catch (const hoist::SystemError& error) {
      ::_exit(error.code() == EFBIG ? 0 : 2);
    }
    ::_exit(1);
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  CHECK(status == 0);
  CHECK(load<int>(dir / "keep") == 1);
  CHECK_FALSE(std::filesystem::exists(dir / ".hoist-tmp-1-1"));
  CHECK(std::filesystem::exists(dir / ".hoist-tmp-1-2"));
  ::close(held);
  CHECK(support::count_entries(dir.path()) == 2);
}

TEST_CASE("what was written through a mapping is loaded without one, whenever the writer died") {
  const TempDir dir;
  const auto path = dir / "m.hoist";
  const std::string was = [&] {
    dump(sample(), path);
    return support::slurp(path);
  }();
  struct Mapped {
    std::string name;
    Array<double> values;
    std::map<std::string, std::vector<int>> tables;
  };
  for (const bool touched : {false, true}) {
    const pid_t child = ::fork();
    if (child == 0) {
      auto mapped = load<Mapped>(path, {.mmap = MmapMode::read_write});
      if (touched) mapped.values(2, 199) = 77;
      ::kill(::getpid(), SIGKILL);
    }
    int status = -1;
    ::waitpid(child, &status, 0);
    CHECK(WIFSIGNALED(status));
    CHECK(load<Result>(path).values(2, 199) == (touched ? 77 : sample().values(2, 199)));
  }
  // One byte marks it. Everything that no mapping can change is still verified.
  std::string is = support::slurp(path);
  std::size_t marks = 0;
  for (std::size_t i = 0; i < was.size(); ++i) marks += was[i] == 2 && is[i] == 0x77;
  CHECK(marks == 1);
  is[is.find("sample")] ^= 1;
  support::spill(path, is);
  CHECK_THROWS_AS(load<Result>(path), hoist::DamagedData);

  dump(sample(), path);
  CHECK(load<Mapped>(path, {.mmap = MmapMode::copy_on_write}).values(0, 1) == 1.0 / 7);
  CHECK(support::slurp(path) == was);
  dump(sample(), path, {.compress = true});
  is = support::slurp(path);
  for (std::size_t i = 64; i < is.size(); ++i) {
    if (is[i] != 2) continue;
    std::string changed = is;
    changed[i] = 0x77;
    support::spill(path, changed);
    CHECK_THROWS_AS(load<Result>(path), hoist::DamagedData);
  }
}

TEST_CASE("a mapping is of the file that was opened, not of one that took its name") {
  const TempDir dir;
  dump(Array<double>({1000}), dir / "a.hoist");
  auto mapped = load<Array<double>>(dir / "a.hoist", {.mmap = MmapMode::read_write});
  dump(Array<double>({1000}), dir / "a.hoist");
  mapped(1) = 5;
  CHECK(load<Array<double>>(dir / "a.hoist")(1) == 0);
  std::filesystem::permissions(dir / "a.hoist", std::filesystem::perms::owner_read);
  if (::geteuid() != 0) {
    CHECK_THROWS_AS(load<Array<double>>(dir / "a.hoist", {.mmap = MmapMode::read_write}),
                    hoist::SystemError);
  }
}

TEST_CASE("a link's target is replaced, not the link; modes are kept") {
  const TempDir dir;
  dump(1, dir / "target");
  ::chmod((dir / "target").c_str(), 0600);
  std::filesystem::create_symlink("target", dir / "link");
  dump(2, dir / "link");
  CHECK(std::filesystem::is_symlink(dir / "link"));
  CHECK(load<int>(dir / "target") == 2);
  CHECK((std::filesystem::status(dir / "target").permissions() & std::filesystem::perms::all) ==
        (std::filesystem::perms::owner_read | std::filesystem::perms::owner_write));
}

TEST_CASE("without a type, a value is what the file says") {
  const support::TempDir dir;
  hoist::dump(std::map<std::string, int>{{"a", 7}}, dir / "f.hoist");
  const hoist::Value value = hoist::load(dir / "f.hoist");
  CHECK(value["a"].to<int>() == 7);
  std::ifstream in(dir / "f.hoist", std::ios::binary);
  CHECK(hoist::load(in)["a"].to<int>() == 7);
}

TEST_CASE("an array is mapped by either name of the option") {
  const support::TempDir dir;
  hoist::dump(std::vector<double>(1000, 1.5), dir / "f.npy");
  using Numbers = hoist::Array<const double>;
  const auto mapped = [&](const hoist::LoadOptions& options) {
    const auto array = hoist::load<Numbers>(dir / "f.npy", options);
    std::fstream(dir / "f.npy", std::ios::in | std::ios::out | std::ios::binary)
        .seekp(-8, std::ios::end)
        .put('\1');
    const bool sees_change = array[999] != 1.5;
    hoist::dump(std::vector<double>(1000, 1.5), dir / "f.npy");
    return sees_change;
  };
  using hoist::MmapMode;
  CHECK(mapped({.mmap = MmapMode::read}));
  CHECK(mapped({.mmap_mode = MmapMode::read}));
  CHECK(mapped({.mmap = MmapMode::read, .mmap_mode = MmapMode::read}));
  CHECK(!mapped({.mmap_mode = MmapMode::none}));
  CHECK_THROWS_AS(mapped({.mmap = MmapMode::read, .mmap_mode = MmapMode::copy_on_write}),
                  hoist::BadArgument);
}
