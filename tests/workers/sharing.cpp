// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/error.hpp>
#include <hoist/open_array.hpp>
#include <hoist/parallel.hpp>

#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <map>

#include "support/child_program.hpp"

using namespace hoist;

namespace {

constexpr std::size_t large = 1 << 18;  // elements: 2 MiB, above max_nbytes

Array<double> ones(std::size_t n = large) {
  auto array = Array<double>::uninitialized({n});
  std::fill(array.data(), array.data() + n, 1.0);
  return array;
}

/// The file that is mapped at an address; empty for private memory.
std::string mapped_from(const void* address) {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    std::uintptr_t begin = 0;
    std::uintptr_t end = 0;
    std::istringstream fields(line);
    char dash = 0;
    fields >> std::hex >> begin >> dash >> end;
    const auto at = reinterpret_cast<std::uintptr_t>(address);
    if (at < begin || at >= end) continue;
    const auto path = line.find('/');
    return path == std::string::npos ? "" : line.substr(path);
  }
  return "";
}

std::string where_const(const Array<const double>& array) { return mapped_from(array.data()); }
std::string where_mutable(const Array<double>& array) { return mapped_from(array.data()); }
double add(const Array<double>& array, std::size_t i) { return array[i] += 1; }
Array<double> make(std::size_t n) { return Array<double>({n}); }

/// Counts how often it is decoded in this process.
struct Decoded {
  static inline int count = 0;
  std::vector<std::string> texts;
  template <class Ar>
  void serialize(Ar& ar) {
    ar(texts);
    if constexpr (Ar::decoding) ++count;
  }
};
struct WithArrays {
  Decoded decoded;
  std::vector<double> some;
  Array<double> many;
};

Parallel with(ParallelOptions options) {
  options.n_jobs = 2;
  options.backend = "spawn";
  return Parallel(std::move(options));
}

bool is_memory(const std::string& path) { return path.starts_with("/memfd:"); }

}  // namespace

TEST_CASE("mmap_mode says how tasks have large arrays") {
  const auto array = ones();
  const Array<const double> view = array;
  const auto run = [&](MmapMode mode, auto f, const auto& argument) {
    return std::get<0>(with({.mmap_mode = mode})(delayed(f)(argument)));
  };
  CHECK(is_memory(run(MmapMode::copy_on_write, where_mutable, array)));
  CHECK(is_memory(run(MmapMode::read, where_const, view)));
  // Small enough for a worker's own arrays not to be made in memory files.
  const auto few = ones(2000);
  const auto copied = std::get<0>(
      with({.max_nbytes = 8000, .mmap_mode = MmapMode::none})(delayed(where_mutable)(few)));
  CHECK(copied == "");
  CHECK_THROWS_WITH_AS(run(MmapMode::read, where_mutable, array),
                       doctest::Contains("Array<const T>"), BadArgument);
}

TEST_CASE("with mmap_mode read_write tasks write to one copy, which is not the caller's") {
  // So large that arrays otherwise move to the copy that tasks map.
  const auto array = ones(1 << 20);
  std::vector<decltype(delayed(add)(array, std::size_t{5}))> calls(
      10, delayed(add)(array, std::size_t{5}));
  const auto values = with({.batch_size = 100, .mmap_mode = MmapMode::read_write})(calls);
  CHECK(*std::max_element(values.begin(), values.end()) > 2);
  CHECK(array[5] == 1);
  const auto apart = with({})(calls);
  CHECK(*std::max_element(apart.begin(), apart.end()) == 2);
  CHECK(array[5] == 1);
}

TEST_CASE("with mmap_mode read_write tasks write to the file that an array maps") {
  const support::TempDir dir;
  const auto path = (dir / "shared.npy").string();
  auto array = open_array<double>(path, {large}, MmapMode::write);
  std::fill(array.data(), array.data() + large, 3.0);
  with({.mmap_mode = MmapMode::read_write})(delayed(add)(array, std::size_t{9}));
  CHECK(array[9] == 4);
}

TEST_CASE("a worker decodes a shared value once") {
  // It had been decoded for each task. The first task in a worker decodes before it counts.
  const auto check = [](const auto& value, auto decoded_in) {
    std::map<int, int> decodes_in;
    for (const auto max_nbytes : {std::optional(ByteSize("1M")), std::optional<ByteSize>()}) {
      const auto counts = with({.batch_size = 2, .max_nbytes = max_nbytes})(
          std::vector(40, delayed(decoded_in)(value)));
      for (const auto& [pid, decodes] : counts) {
        CHECK(decodes > 0);
        CHECK(decodes_in.try_emplace(pid, decodes).first->second == decodes);
      }
    }
    CHECK(decodes_in.size() <= 2);
    const auto forked =
        Parallel({.n_jobs = 2, .backend = "fork"})(std::vector(4, delayed(decoded_in)(value)));
    for (const auto& [pid, decodes] : forked) CHECK(decodes == 0);
  };
  static const auto count_in = [](const Decoded& decoded) {
    return std::pair(::getpid(), decoded.texts.back() == "text" ? Decoded::count : -1);
  };
  for (const std::size_t texts : {1u, 100000u}) {
    check(share(Decoded{std::vector<std::string>(texts, "text")}),
          [](const Shared<Decoded>& shared) { return count_in(*shared); });
  }
  for (const std::size_t elements : {std::size_t{1000}, large}) {
    check(share(WithArrays{{{"text"}}, std::vector<double>(1000, 2.0), ones(elements)}),
          [](const Shared<WithArrays>& shared) {
            auto counted = count_in(shared->decoded);
            const double last = shared->many[shared->many.size() - 1];
            if (shared->some.back() != 2 || last != 1) counted.second = -1;
            return counted;
          });
  }
}

TEST_CASE("max_nbytes decides what is shared, of arguments and of results") {
  auto few = Array<double>({2000});
  CHECK(is_memory(std::get<0>(with({.max_nbytes = 8000})(delayed(where_mutable)(few)))));
  CHECK(std::get<0>(with({.max_nbytes = 16001})(delayed(where_mutable)(few))) == "");
  CHECK(std::get<0>(with({.max_nbytes = std::nullopt})(delayed(where_mutable)(few))) == "");
  const auto result = std::get<0>(with({.max_nbytes = 8000})(delayed(make)(std::size_t{2000})));
  CHECK(is_memory(mapped_from(result.data())));
  const auto own = std::get<0>(with({.max_nbytes = std::nullopt})(delayed(make)(large)));
  CHECK(mapped_from(own.data()) == "");
}

// The case below runs this one in a process of its own.
TEST_CASE("program short of shared memory" * doctest::skip()) {
  const std::string folder = std::getenv("TEST_FOLDER");
  const auto array = ones();
  const auto place = [&](const std::string& temp_folder) {
    const auto [there, result] =
        with({.temp_folder = temp_folder})(delayed(where_mutable)(array), delayed(make)(large));
    const std::string here = mapped_from(result.data());
    CHECK(result[large - 1] == 0);
    CHECK(there.substr(0, there.rfind('/')) == here.substr(0, here.rfind('/')));
    return there;
  };
  CHECK(place(folder + "/one").starts_with(folder + "/one/"));
  CHECK(ones().size() == large);
  // The next choice is the folder that the environment names.
  auto other = ones();
  const auto there =
      std::get<0>(with({.temp_folder = folder + "/missing"})(delayed(where_mutable)(other)));
  CHECK(there.starts_with(folder + "/two/"));
  // A folder without enough space is skipped, because the space is reserved before writing.
  std::filesystem::create_directory(folder + "/small");
  if (::unshare(CLONE_NEWNS) == 0 &&
      ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
      ::mount("tmpfs", (folder + "/small").c_str(), "tmpfs", 0, "size=1m") == 0) {
    auto third = ones();
    const auto where =
        std::get<0>(with({.temp_folder = folder + "/small"})(delayed(where_mutable)(third)));
    CHECK(where.starts_with(folder + "/two/"));
  }
}

TEST_CASE("where shared memory is short, arrays lie in files of the folders named") {
  const support::TempDir dir;
  for (const char* name : {"one", "two"}) std::filesystem::create_directory(dir / name);
  support::ChildProgram program(
      "program short of shared memory",
      {"HOIST_MAX_SHARED_BYTES=1M", "HOIST_TEMP_FOLDER=" + (dir / "two").string(),
       "TEST_FOLDER=" + dir.path().string()});
  REQUIRE(program.ends_within(std::chrono::seconds(60)));
  CAPTURE(program.output());
  CAPTURE(program.errors());
  CHECK(program.exit_code() == 0);
  // No files remain.
  CHECK(support::count_entries(dir / "one") == 0);
  CHECK(support::count_entries(dir / "two") == 0);
}
