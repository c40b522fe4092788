// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/cpu_count.hpp>
#include <hoist/version.hpp>
#include <hoist/worker.hpp>

#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <map>
#include <stdexcept>
#include <utility>

#include "bench.hpp"

namespace bench {

namespace {

std::multimap<std::string, void (*)()>& groups() {
  static std::multimap<std::string, void (*)()> all;
  return all;
}

std::map<std::string, void (*)(int)>& parts() {
  static std::map<std::string, void (*)(int)> all;
  return all;
}

#ifdef __clang__
constexpr const char* compiler = "clang " __clang_version__;
#else
constexpr const char* compiler = "g++ " __VERSION__;
#endif

int missed = 0;
bool headed = false;
bool markdown = false;

struct Scratch {
  Scratch() {
    const char* root = std::getenv("HOIST_BENCH_DIR");
    std::string name = std::string(root != nullptr ? root : ".") + "/hoist-bench-XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("can't make " + name);
    path = std::filesystem::absolute(name).string();
  }
  ~Scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  std::string path;
};

std::vector<double> numbers_of(const std::string& command) {
  std::vector<double> numbers;
  FILE* pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) return numbers;
  double number = 0;
  while (std::fscanf(pipe, "%lf", &number) == 1) numbers.push_back(number);
  ::pclose(pipe);
  return numbers;
}

/// The first line that a command prints.
std::string line_of(const std::string& command) {
  std::string line;
  FILE* pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) return line;
  for (int c = std::fgetc(pipe); c != EOF && c != '\n'; c = std::fgetc(pipe)) line += char(c);
  while (std::fgetc(pipe) != EOF) {
  }
  ::pclose(pipe);
  return line;
}

/// What the tables that follow are worth nothing without.
void print_conditions() {
  const auto built_in = std::filesystem::read_symlink("/proc/self/exe").parent_path().string();
  const std::string commit =
      line_of("git -C '" + built_in + "' describe --always --dirty 2>/dev/null");
  const std::string processor = line_of("sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo");
  const std::string system =
      line_of(". /etc/os-release && echo \"$PRETTY_NAME, Linux $(uname -r)\"");
  char date[32];
  const std::time_t now = std::time(nullptr);
  std::strftime(date, sizeof date, "%Y-%m-%d", std::gmtime(&now));
  std::printf("%s, hoist %s (commit %s), %s, %d cores of %s, %s; load %s.\n", date,
              HOIST_VERSION_STRING, commit.empty() ? "unknown" : commit.c_str(), compiler,
              hoist::cpu_count(), processor.c_str(), system.c_str(),
              line_of("cut -d' ' -f1 /proc/loadavg").c_str());
}

/// Text in a cell of a table.
std::string cell(const std::string& text) {
  std::string safe;
  for (const char c : text) {
    if (c == '|') safe += '\\';
    safe += c;
  }
  return safe;
}

void print_markdown(const std::string& work, const std::string& unit, double ours,
                    const std::string& other_name, double other, const std::string& target) {
  if (!headed) {
    std::printf(
        "\n| work | hoist | compared with | | ratio | target |\n|---|---:|---|---:|---:|---|\n");
    headed = true;
  }
  std::printf("| %s | %.4g %s | %s | ", cell(work).c_str(), ours, cell(unit).c_str(),
              cell(other_name).c_str());
  if (std::isnan(ours / other)) {
    std::printf("missing | | |\n");
  } else {
    std::printf("%.4g %s | %.4g | %s |\n", other, cell(unit).c_str(), ours / other, target.c_str());
  }
  std::fflush(stdout);
}

}  // namespace

Group::Group(std::string name, void (*run)()) { groups().emplace(std::move(name), run); }
Apart::Apart(std::string name, void (*run)(int)) { parts()[std::move(name)] = run; }

double seconds(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double median(std::vector<double> samples) {
  if (samples.empty()) return std::nan("");
  std::sort(samples.begin(), samples.end());
  return samples[samples.size() / 2];
}

std::vector<double> medians(int rounds, const std::vector<std::function<void()>>& works,
                            const std::function<void()>& before) {
  std::vector<std::vector<double>> samples(works.size());
  for (int round = 0; round <= rounds; ++round) {
    for (std::size_t i = 0; i < works.size(); ++i) {
      if (before) before();
      // Threads of the previous one may still spin, OpenMP's for some milliseconds. Busy waiting,
      // because an idle processor takes milliseconds to return to its full speed.
      const auto settled = std::chrono::steady_clock::now() + std::chrono::milliseconds(10);
      while (std::chrono::steady_clock::now() < settled) {
      }
      const double time = seconds(works[i]);
      if (round > 0) samples[i].push_back(time);
    }
  }
  std::vector<double> result;
  for (auto& times : samples) result.push_back(median(std::move(times)));
  return result;
}

std::vector<double> python(const std::string& script) {
  const std::string file = scratch() + "/peer.py";
  std::ofstream(file) << script;
  return numbers_of("cd '" + scratch() + "' && /usr/bin/python3 peer.py 2>peer.err");
}

double fresh(const std::string& work) {
  const auto beside = std::filesystem::read_symlink("/proc/self/exe").parent_path();
  const auto numbers = numbers_of("'" + (beside / "hoist_bench_first").string() + "' " + work);
  return numbers.empty() ? std::nan("") : numbers[0];
}

std::vector<double> apart(const std::string& name, int argument, int processors) {
  cpu_set_t all;
  ::sched_getaffinity(0, sizeof all, &all);
  cpu_set_t first;
  CPU_ZERO(&first);
  for (int cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&first) < processors; ++cpu) {
    if (CPU_ISSET(cpu, &all)) CPU_SET(cpu, &first);
  }
  // Threads and processes that this thread starts inherit its processors.
  ::sched_setaffinity(0, sizeof first, &first);
  const std::string self = std::filesystem::read_symlink("/proc/self/exe").string();
  auto numbers = numbers_of("'" + self + "' --apart " + name + " " + std::to_string(argument));
  ::sched_setaffinity(0, sizeof all, &all);
  return numbers;
}

Python::Python(const std::string& script) {
  const std::string file = scratch() + "/peer" + std::to_string(::getpid()) + ".py";
  std::ofstream(file) << "import sys\n"
                      << script
                      << "\nprint('ready', flush=True)\n"
                         "for line in sys.stdin:\n"
                         "    exec(line)\n"
                         "    print('done', flush=True)\n";
  int in[2];
  int out[2];
  if (::pipe(in) != 0 || ::pipe(out) != 0) return;
  pid_ = ::fork();
  if (pid_ == 0) {
    ::dup2(in[0], STDIN_FILENO);
    ::dup2(out[1], STDOUT_FILENO);
    for (const int fd : {in[0], in[1], out[0], out[1]}) ::close(fd);
    static_cast<void>(!::chdir(scratch().c_str()));
    ::execl("/usr/bin/python3", "/usr/bin/python3", file.c_str(), nullptr);
    ::_exit(127);
  }
  ::close(in[0]);
  ::close(out[1]);
  in_ = ::fdopen(in[1], "w");
  out_ = ::fdopen(out[0], "r");
  works_ = wait();
}

Python::~Python() {
  if (in_ != nullptr) std::fclose(in_);
  if (out_ != nullptr) std::fclose(out_);
  if (pid_ > 0) ::waitpid(pid_, nullptr, 0);
}

bool Python::wait() {
  char line[64];
  return std::fgets(line, sizeof line, out_) != nullptr;
}

void Python::run(const std::string& statement) {
  if (!works_) return;
  std::fprintf(in_, "%s\n", statement.c_str());
  std::fflush(in_);
  works_ = wait();
}

const std::string& scratch() {
  static const Scratch directory;
  return directory.path;
}

void row(const std::string& work, const std::string& unit, double ours,
         const std::string& other_name, double other, Goal goal, double target) {
  const double ratio = ours / other;
  const bool met = goal == Goal::at_least ? ratio >= target : ratio <= target;
  if (!met && !std::isnan(ratio)) ++missed;
  if (markdown) {
    char text[64];
    std::snprintf(text, sizeof text, "%s %.4g%s", goal == Goal::at_least ? "&ge;" : "&le;", target,
                  met ? "" : ", missed");
    print_markdown(work, unit, ours, other_name, other, text + disturbance());
    return;
  }
  if (!headed) {
    std::printf("%-52s %10s %-8s %-28s %10s  %-10s %s\n", "work", "hoist", "unit", "other", "other",
                "ratio", "target");
    headed = true;
  }
  std::printf("%-52s %10.4g %-8s %-28s ", work.c_str(), ours, unit.c_str(), other_name.c_str());
  if (std::isnan(ratio)) {
    std::printf("%10s", "missing");
  } else {
    std::printf("%10.4g  x%-9.4g %s %-6.4g %s", other, ratio,
                goal == Goal::at_least ? ">=" : "<=", target, met ? "met" : "MISSED");
  }
  std::printf("%s\n", disturbance().c_str());
  std::fflush(stdout);
}

void note(const std::string& text) {
  if (markdown) headed = false;  // it stands between two tables
  std::printf(markdown ? "\n%s.\n" : "# %s\n", text.c_str());
  std::fflush(stdout);
}

}  // namespace bench

int main(int argc, char** argv) {
  // In a program without shared objects, worker processes start here.
  hoist::worker_main(argc, argv);
  std::vector<std::string> names(argv + 1, argv + argc);
  if (names.size() == 3 && names[0] == "--apart" && bench::parts().contains(names[1])) {
    bench::parts()[names[1]](std::atoi(names[2].c_str()));
    return 0;
  }
  if (!names.empty() && names[0] == "--markdown") {
    bench::markdown = true;
    names.erase(names.begin());
    bench::print_conditions();
  }
  if (names.empty()) {
    for (const auto& [name, run] : bench::groups()) {
      if (names.empty() || names.back() != name) names.push_back(name);
    }
  }
  for (const auto& name : names) {
    const auto [begin, end] = bench::groups().equal_range(name);
    if (begin == end) {
      std::fprintf(stderr, "no group is called \"%s\"; there are:", name.c_str());
      for (const auto& known : bench::groups()) std::fprintf(stderr, " %s", known.first.c_str());
      std::fprintf(stderr, "\n");
      return 2;
    }
    std::printf(bench::markdown ? "\n## %s\n" : "== %s\n", name.c_str());
    bench::headed = false;
    bench::look_whether_quiet();
    for (auto group = begin; group != end; ++group) group->second();
  }
  if (bench::missed > 0) {
    std::printf("%s%d target(s) missed\n", bench::markdown ? "\n" : "", bench::missed);
  }
  return 0;
}
