// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "bench.hpp"

// Loops on workers of other machines, which are this one here. The programs are built beside this
// one where their libraries are.

namespace {

/// Under mpirun, which is told that it may use more ranks than there are cores, as root too.
std::string mpirun(const std::string& rest) {
  return "OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 "
         "OMPI_MCA_rmaps_base_oversubscribe=1 "
         "PRTE_MCA_rmaps_default_mapping_policy=:oversubscribe OMPI_MCA_mpi_yield_when_idle=1 "
         "timeout 120 mpirun -n 3 " +
         rest + " 2>/dev/null";
}

std::string beside(const std::string& program) {
  return "'" + (std::filesystem::read_symlink("/proc/self/exe").parent_path() / program).string() +
         "'";
}

double number_of(const std::string& command) {
  std::FILE* const pipe = ::popen(command.c_str(), "r");
  double number = std::nan("");
  if (pipe == nullptr || std::fscanf(pipe, "%lf", &number) != 1) number = std::nan("");
  if (pipe != nullptr) ::pclose(pipe);
  return number;
}

double hoist_mpi(const std::string& work) {
  return number_of(mpirun("env HOIST_BACKEND=mpi " + beside("hoist_bench_mpi") + " " + work));
}
double raw_mpi(const std::string& work) {
  return number_of(mpirun(beside("hoist_bench_raw_mpi") + " " + work));
}

/// Tasks per second of mpi4py.futures.
double mpi4py(int tasks, int chunk) {
  const std::string script = bench::scratch() + "/mpi4py_futures.py";
  std::ofstream(script) << "from mpi4py.futures import MPIPoolExecutor\n"
                           "import time\n"
                           "def f(x): return x * x\n"
                           "if __name__ == '__main__':\n"
                           "    with MPIPoolExecutor() as ex:\n"
                           "        list(ex.map(f, range(100)))\n"
                           "        t = time.perf_counter()\n"
                           "        list(ex.map(f, range("
                        << tasks << "), chunksize=" << chunk
                        << "))\n"
                           "        print("
                        << tasks << " / (time.perf_counter() - t))\n";
  return number_of(mpirun("/usr/bin/python3 -m mpi4py.futures '" + script + "'"));
}

double median_of(int rounds, double (*measure)()) {
  std::vector<double> numbers;
  for (int i = 0; i < rounds; ++i) numbers.push_back(measure());
  return bench::median(numbers);
}

void mpi() {
  bench::note("mpi: mpirun -n 3 on this machine, shared memory");
  const double batches = median_of(3, [] { return hoist_mpi("batches"); });
  bench::row("mpi: empty tasks, automatic batches, 2 workers", "tasks/s", batches,
             "mpi4py.futures, best chunk",
             std::max({mpi4py(100'000, 20), mpi4py(200'000, 100), mpi4py(200'000, 1000)}),
             bench::Goal::at_least, 3);
  bench::row("mpi: empty tasks, automatic batches, 2 workers", "tasks/s", batches,
             "raw MPI, 100 of 64 B a frame", median_of(3, [] { return raw_mpi("batches"); }),
             bench::Goal::at_least, 0.5);
  bench::row("mpi: one at a time", "tasks/s", median_of(3, [] { return hoist_mpi("one"); }),
             "mpi4py.futures", mpi4py(10'000, 1), bench::Goal::at_least, 20);
  const auto first = bench::medians(3, {[] { hoist_mpi("first"); }, [] { raw_mpi("first"); }});
  bench::row("mpi: mpirun -n 3 until 2 workers have answered", "s", first[0],
             "raw MPI, a broadcast", first[1], bench::Goal::at_most, 1.2);
  bench::row("mpi: 256 MiB array to 8 tasks on 2 hosts", "B/s",
             median_of(3, [] { return hoist_mpi("array"); }), "MPI_Send to each",
             median_of(3, [] { return raw_mpi("array"); }), bench::Goal::at_least, 0.6);
}

const bench::Group group("cluster", mpi);

}  // namespace
