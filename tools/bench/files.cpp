// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/array.hpp>
#include <hoist/codec.hpp>
#include <hoist/dump.hpp>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>
#include <random>
#include <sstream>
#include <string>
#include <tuple>
#include <vector>

#include "bench.hpp"

// Dump and load: against write(2) and read(2), and against joblib, numpy, blosc and the command
// lines of the compressors, on the same file system in the same run.

namespace {

using bench::Goal;
using hoist::Array;

constexpr std::size_t gib = std::size_t{1} << 30;
constexpr std::size_t mib = std::size_t{1} << 20;
constexpr double missing = std::numeric_limits<double>::quiet_NaN();

std::string in_scratch(const std::string& name) { return bench::scratch() + "/" + name; }

Array<double> random_walk(std::size_t n) {
  auto walk = Array<double>::uninitialized({n});
  std::mt19937_64 random(1);
  std::normal_distribution<double> step;
  double at = 0;
  for (std::size_t i = 0; i < n; ++i) walk[i] = at += step(random);
  return walk;
}

/// `reserve`: into space that is reserved beforehand.
void write_raw(const Array<double>& array, const std::string& path, bool reserve = false) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (reserve) ::fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(array.nbytes()));
  const auto* from = reinterpret_cast<const char*>(array.data());
  for (std::size_t done = 0; done < array.nbytes();) {
    const ssize_t n =
        ::write(fd, from + done, std::min(array.nbytes() - done, std::size_t{4} << 20));
    if (n <= 0) break;
    done += static_cast<std::size_t>(n);
  }
  ::close(fd);
}

void read_raw(const std::string& path, std::size_t bytes) {
  const int fd = ::open(path.c_str(), O_RDONLY);
  void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ::madvise(memory, bytes, MADV_HUGEPAGE);
  for (std::size_t done = 0; done < bytes;) {
    const ssize_t n = ::read(fd, static_cast<char*>(memory) + done, bytes - done);
    if (n <= 0) break;
    done += static_cast<std::size_t>(n);
  }
  ::munmap(memory, bytes);
  ::close(fd);
}

/// Reads only the header of the file and touches no page of the mapping.
void map_raw(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY);
  struct stat status{};
  ::fstat(fd, &status);
  char beginning[4096];
  bench::keep(::pread(fd, beginning, sizeof beginning, 0));
  const auto bytes = static_cast<std::size_t>(status.st_size);
  void* memory = ::mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE, fd, 0);
  bench::keep(memory);
  ::munmap(memory, bytes);
  ::close(fd);
}

std::size_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  std::size_t total = 0;
  std::size_t resident = 0;
  statm >> total >> resident;
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

double at(const std::vector<double>& values, std::size_t i) {
  return i < values.size() ? values[i] : missing;
}

/// Python that times `body` `rounds` times after an uncounted one and prints the median.
std::string timed(const std::string& body, int rounds) {
  std::string text = "samples = []\nfor _ in range(" + std::to_string(rounds + 1) + "):\n";
  text += "    t = time.perf_counter()\n    " + body + "\n";
  text += "    samples.append(time.perf_counter() - t)\n";
  return text + "print(sorted(samples[1:])[" + std::to_string(rounds / 2) + "])\n";
}

const std::string imports = "import time, os, numpy as np, joblib\n";

/// To be called before each dump: removes the previous dump's data and waits until nothing is being
/// written to the disk, which would slow the next one down.
std::function<void()> remove(const std::vector<std::string>& names) {
  return [=] {
    for (const auto& name : names) std::filesystem::remove(in_scratch(name));
    ::sync();
  };
}

void uncompressed() {
  const auto array = random_walk(gib / 8);
  const std::string raw = in_scratch("raw.bin");
  const std::string ours = in_scratch("a.hoist");
  bench::note("1 GiB of float64, uncompressed; GB/s");
  write_raw(array, raw);
  bench::Python peer(imports + "a = np.fromfile('" + raw + "')\nn = '" + in_scratch("n.npy") +
                     "'\nj = '" + in_scratch("j.joblib") + "'\n");
  const auto remove_all = remove({"raw.bin", "a.hoist", "n.npy", "j.joblib"});
  const std::vector<std::function<void()>> dumps{
      [&] { write_raw(array, raw); }, [&] { hoist::dump(array, ours); },
      [&] { peer.run("np.save(n, a)"); }, [&] { peer.run("joblib.dump(a, j)"); },
      [&] { write_raw(array, raw, true); }};
  const auto dump = bench::medians(9, dumps, remove_all);
  for (const auto& each : dumps) each();
  ::sync();
  const auto load =
      bench::medians(5, {[&] { read_raw(raw, array.nbytes()); },
                         [&] { bench::keep(hoist::load<Array<double>>(ours).data()); },
                         [&] { peer.run("np.load(n)"); }, [&] { peer.run("joblib.load(j)"); }});
  const double there = peer.works() ? 1 : missing;
  const double gb = 1.073741824;
  bench::row("dump 1 GiB", "GB/s", gb / dump[1], "write(2)", gb / dump[0], Goal::at_least, 0.9);
  bench::row("dump 1 GiB", "GB/s", gb / dump[1], "fallocate, write(2)", gb / dump[4],
             Goal::at_least, 0.9);
  bench::row("dump 1 GiB", "GB/s", gb / dump[1], "np.save", there * gb / dump[2], Goal::at_least,
             1.0);
  bench::row("dump 1 GiB", "GB/s", gb / dump[1], "joblib", there * gb / dump[3], Goal::at_least,
             1.0);
  bench::row("load 1 GiB", "GB/s", gb / load[1], "read(2), huge pages", gb / load[0],
             Goal::at_least, 0.9);
  bench::row("load 1 GiB", "GB/s", gb / load[1], "np.load", there * gb / load[2], Goal::at_least,
             1.0);
  bench::row("load 1 GiB", "GB/s", gb / load[1], "joblib", there * gb / load[3], Goal::at_least,
             1.0);

  const auto map = [&] {
    return hoist::load<Array<const double>>(ours, {.mmap = hoist::MmapMode::read});
  };
  const auto warm = map();
  const std::size_t before = resident_bytes();
  const auto mapped = map();
  const double grown = static_cast<double>(resident_bytes() - before) / 1024;
  const auto one = bench::medians(101, {[&] { bench::keep(map().data()); }, [&] { map_raw(raw); }});
  bench::row("map 1 GiB", "us", one[0] * 1e6, "open, pread, mmap, munmap", one[1] * 1e6,
             Goal::at_most, 3);
  bench::row("map 1 GiB: new memory", "KiB", grown, "limit", 64, Goal::at_most, 1.0);
  remove_all();
}

/// The same work in NumPy's own formats, against NumPy.
void numpy_formats() {
  const auto array = random_walk(512 * mib / 8);
  const std::string npy = in_scratch("ours.npy");
  const std::string npz = in_scratch("ours.npz");
  bench::note("512 MiB of float64 as .npy and .npz; GB/s");
  hoist::dump(array, npy);
  bench::Python peer(imports + "a = np.load('" + npy + "')\nn = '" + in_scratch("n.npy") +
                     "'\nz = '" + in_scratch("n.npz") + "'\n");
  const auto remove_all = remove({"ours.npy", "ours.npz", "n.npy", "n.npz"});
  const std::vector<std::function<void()>> dumps{
      [&] { hoist::dump(array, npy); }, [&] { peer.run("np.save(n, a)"); },
      [&] { hoist::dump(array, npz); }, [&] { peer.run("np.savez(z, a=a)"); }};
  const auto dump = bench::medians(5, dumps, remove_all);
  for (const auto& each : dumps) each();
  ::sync();
  const auto load = bench::medians(5, {[&] { bench::keep(hoist::load<Array<double>>(npy).data()); },
                                       [&] { peer.run("np.load(n)"); },
                                       [&] { bench::keep(hoist::load<Array<double>>(npz).data()); },
                                       [&] { peer.run("np.load(z)['a']"); }});
  const double there = peer.works() ? 1 : missing;
  const auto python = bench::python(imports + "n = '" + in_scratch("n.npy") + "'\n" +
                                    timed("np.load(n, mmap_mode='r')", 21));
  const double gb = 512 * 1.048576e-3;
  bench::row("dump .npy", "GB/s", gb / dump[0], "np.save", there * gb / dump[1], Goal::at_least,
             1.0);
  bench::row("load .npy", "GB/s", gb / load[0], "np.load", there * gb / load[1], Goal::at_least,
             1.0);
  bench::row("dump .npz", "GB/s", gb / dump[2], "np.savez", there * gb / dump[3], Goal::at_least,
             1.0);
  bench::row("load .npz", "GB/s", gb / load[2], "np.load", there * gb / load[3], Goal::at_least,
             1.0);
  const double map = bench::medians(
      101, {[&] {
        bench::keep(hoist::load<Array<const double>>(npy, {.mmap = hoist::MmapMode::read}).data());
      }})[0];
  bench::row("map .npy", "us", map * 1e6, "np.load mmap_mode", at(python, 0) * 1e6, Goal::at_most,
             1.0);
  remove_all();
}

void compressed_container() {
  const auto array = random_walk(256 * mib / 8);
  const std::string raw = in_scratch("walk.bin");
  const std::string ours = in_scratch("walk.hoist");
  write_raw(array, raw);
  bench::note("256 MiB random walk of float64, hoist's default compression; GB/s");
  const std::string load = "a = np.fromfile('" + raw + "')\nj = '" + in_scratch("j.joblib") +
                           "'\nb = '" + in_scratch("walk.blosc") + "'\n";
  bench::Python plain(imports + load);
  bench::Python blosc(
      imports + load +
      "import blosc\nblosc.set_nthreads(2)\nblosc.set_blocksize(0)\nt = a.tobytes()\n"
      "def dump():\n    with open(b, 'wb') as f: "
      "f.write(blosc.compress(t, 8, 5, blosc.SHUFFLE, 'lz4'))\n"
      "def load():\n    with open(b, 'rb') as f: "
      "return np.frombuffer(blosc.decompress(f.read(), True))\n");
  const auto remove_all = remove({"walk.hoist", "j.joblib", "walk.blosc"});
  const std::vector<std::function<void()>> dumps{
      [&] { hoist::dump(array, ours, {.compress = true}); },
      [&] { plain.run("joblib.dump(a, j)"); }, [&] { blosc.run("dump()"); }};
  const auto dump = bench::medians(7, dumps, remove_all);
  for (const auto& each : dumps) each();
  ::sync();
  const auto loads =
      bench::medians(7, {[&] { bench::keep(hoist::load<Array<double>>(ours).data()); },
                         [&] { blosc.run("load()"); }});
  const double gb = 256 * 1.048576e-3;
  const auto size_ratio = [&](const std::string& file) {
    std::error_code none;
    const auto size = std::filesystem::file_size(file, none);
    return none ? missing : static_cast<double>(array.nbytes()) / static_cast<double>(size);
  };
  const double ratio = size_ratio(ours);
  const auto zlib =
      bench::python(imports + load + timed("joblib.dump(a, j, compress=3)", 1) +
                    timed("joblib.load(j)", 1) + "print(a.nbytes / os.path.getsize(j))\n");
  bench::row("dump", "GB/s", gb / dump[0], "joblib compress=3", gb / at(zlib, 0), Goal::at_least,
             40);
  bench::row("dump: size ratio", "x", ratio, "joblib compress=3", at(zlib, 2), Goal::at_least, 1.0);
  bench::row("dump", "GB/s", gb / dump[0], "joblib uncompressed",
             plain.works() ? gb / dump[1] : missing, Goal::at_least, 0.9);
  bench::row("load", "GB/s", gb / loads[0], "joblib of its zlib", gb / at(zlib, 1), Goal::at_least,
             12);
  bench::row("dump", "GB/s", gb / dump[0], "blosc lz4 shuffle 2t",
             blosc.works() ? gb / dump[2] : missing, Goal::at_least, 1.1);
  bench::row("load", "GB/s", gb / loads[0], "blosc", blosc.works() ? gb / loads[1] : missing,
             Goal::at_least, 1.5);
  bench::row("dump: size ratio", "x", ratio, "blosc", size_ratio(in_scratch("walk.blosc")),
             Goal::at_least, 1.0);
  remove_all();
}

/// A checkpoint: over the one before, which must not be lost to a power failure.
void replaced() {
  const auto array = random_walk(256 * mib / 8);
  const std::string raw = in_scratch("walk.bin");
  const std::string fresh = in_scratch("fresh.hoist");
  const std::string old = in_scratch("old.hoist");
  const std::string other = in_scratch("old.joblib");
  write_raw(array, raw);
  bench::Python plain(imports + "a = np.fromfile('" + raw + "')\nj = '" + other + "'\n" +
                      "def dump():\n"
                      "    with open(j + '.tmp', 'wb') as f:\n"
                      "        joblib.dump(a, f)\n"
                      "        f.flush()\n"
                      "        os.fsync(f.fileno())\n"
                      "    os.replace(j + '.tmp', j)\n");
  const std::vector<std::function<void()>> dumps{
      [&] { hoist::dump(array, fresh, {.compress = true}); },
      [&] { hoist::dump(array, old, {.compress = true}); }, [&] { plain.run("dump()"); }};
  for (const auto& each : dumps) each();
  const auto t = bench::medians(7, dumps, [&] {
    ::unlink(fresh.c_str());
    ::sync();
  });
  bench::note("256 MiB random walk of float64, default compression, over an existing file");
  bench::row("dump over a file", "s", t[1], "to a new name", t[0], Goal::at_most, 1.3);
  bench::row("dump over a file", "s", t[1], "joblib, fsync", plain.works() ? t[2] : missing,
             Goal::at_most, 1.0);
  remove({"fresh.hoist", "old.hoist", "old.joblib", "walk.bin"})();
}

void streams() {
  const std::string raw = in_scratch("walk.bin");
  for (const auto& [codec, extension, size, goal] :
       std::vector<std::tuple<std::string, std::string, std::size_t, double>>{
           {"gzip", ".gz", 64, 3}, {"xz", ".xz", 48, 1.7}, {"bz2", ".bz2", 32, 1.7}}) {
    const auto array = random_walk(size * mib / 8);
    const std::string ours = in_scratch("walk" + extension);
    bench::note(std::to_string(size) + " MiB random walk, " + extension + " level 3; MB/s");
    const auto t = bench::medians(1, {[&] { hoist::dump(array, ours); }});
    const auto python = bench::python(
        imports + "a = np.fromfile('" + raw + "')[:" + std::to_string(array.size()) + "]\nj = '" +
        in_scratch("j") + "'\n" + timed("joblib.dump(a, j, compress=('" + codec + "', 3))", 1) +
        "print(a.nbytes / os.path.getsize(j))\n");
    const double mb = static_cast<double>(array.nbytes()) / 1e6;
    bench::row("dump " + extension, "MB/s", mb / t[0], "joblib " + codec, mb / at(python, 0),
               Goal::at_least, goal);
    bench::row(
        "dump " + extension + ": size ratio", "x",
        static_cast<double>(array.nbytes()) / static_cast<double>(std::filesystem::file_size(ours)),
        "joblib " + codec, at(python, 1), Goal::at_least, 0.99);
    std::filesystem::remove(ours);
    std::filesystem::remove(in_scratch("j"));
  }
  const auto array = random_walk(256 * mib / 8);
  const std::string ours = in_scratch("walk.zst");
  const std::string command =
      "zstd -q -f -3 -T0 '" + raw + "' -o '" + in_scratch("command.zst") + "'";
  bench::note("256 MiB random walk, .zst level 3; GB/s");
  bool ran = true;
  const auto t = bench::medians(
      3,
      {[&] { hoist::dump(array, ours); }, [&] { ran = std::system(command.c_str()) == 0 && ran; }},
      remove({"walk.zst", "command.zst"}));
  const double gb = 256 * 1.048576e-3;
  bench::row("dump .zst", "GB/s", gb / t[0], "zstd -3 -T0", ran ? gb / t[1] : missing,
             Goal::at_least, 1.0);
  for (const char* name : {"walk.zst", "command.zst", "j", "walk.bin"}) {
    std::filesystem::remove(in_scratch(name));
  }
}

struct Record {
  double x = 0;
  double y = 0;
  std::string name;
  int id = 0;
  std::vector<std::string> tags;
};

void records() {
  constexpr int n = 200'000;
  std::vector<Record> all;
  for (int i = 0; i < n; ++i) {
    const std::string name = "record " + std::to_string(i);
    all.push_back({i * 0.5, i * 0.25, name, i, {name, "same"}});
  }
  const std::string ours = in_scratch("records.joblib"), theirs = in_scratch("j.joblib");
  hoist::dump(all, ours);
  bench::Python python("import joblib\nours = '" + ours + "'\nj = '" + theirs +
                       "'\nv = joblib.load(ours)\n");
  bench::note("200,000 structs of five fields as a list of dicts in a .joblib; thousands/s");
  const auto t =
      bench::medians(3, {[&] { hoist::dump(all, ours); }, [&] { python.run("joblib.dump(v, j)"); },
                         [&] { bench::keep(hoist::load<std::vector<Record>>(ours).data()); },
                         [&] { python.run("joblib.load(ours)"); }});
  const double there = python.works() ? n * 1e-3 : missing;
  bench::row("dump records", "k/s", n * 1e-3 / t[0], "joblib", there / t[1], Goal::at_least, 1.0);
  bench::row("load records", "k/s", n * 1e-3 / t[2], "joblib", there / t[3], Goal::at_least, 1.0);
  std::filesystem::remove(ours);
  std::filesystem::remove(theirs);
}

struct Ten {
  int a;
  double b;
  std::string c;
  long d;
  float e;
  bool f;
  std::vector<int> g;
  unsigned h;
  char i;
  double j;
};

void small() {
  const Ten ten{1, 2.5, "three", 4, 5.5F, true, {7, 8}, 9, 'i', 10.5};
  constexpr int times = 20'000;
  std::string text;
  const auto t = bench::medians(5, {[&] {
                                      for (int k = 0; k < times; ++k) {
                                        std::ostringstream out;
                                        hoist::dump(ten, out);
                                        if (k == 0) text = out.str();
                                      }
                                    },
                                    [&] {
                                      for (int k = 0; k < times; ++k) {
                                        std::istringstream in(text);
                                        bench::keep(hoist::load<Ten>(in).a);
                                      }
                                    }});
  const auto python = bench::python(R"(
import pickle, timeit
v = dict(a=1, b=2.5, c='three', d=4, e=5.5, f=True, g=[7, 8], h=9, i='i', j=10.5)
t = pickle.dumps(v, 5)
for f in (lambda: pickle.dumps(v, 5)), (lambda: pickle.loads(t)):
    print(sorted(timeit.repeat(f, number=20000, repeat=5))[2] / 20000)
)");
  bench::note("a struct of 10 fields to and from a memory stream; Python: a dict and bytes");
  bench::row("dump a small struct", "us", t[0] / times * 1e6, "pickle.dumps", at(python, 0) * 1e6,
             Goal::at_most, 1.0);
  bench::row("load a small struct", "us", t[1] / times * 1e6, "pickle.loads", at(python, 1) * 1e6,
             Goal::at_most, 1.0);
}

void files() {
  small();
  uncompressed();
  numpy_formats();
  compressed_container();
  replaced();
  streams();
  records();
}

const bench::Group group("files", files);
const bench::Group group_small("files-small", small);
const bench::Group group_plain("files-plain", uncompressed);
const bench::Group group_numpy("files-numpy", numpy_formats);
const bench::Group group_records("files-records", records);
const bench::Group group_replaced("files-replaced", replaced);
const bench::Group group_packed("files-packed", compressed_container);

}  // namespace
