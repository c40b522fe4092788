// SPDX-License-Identifier: BSD-3-Clause
#include "mpi/mpi_job.hpp"

#include <hoist/backend.hpp>
#include <hoist/error.hpp>

#include <mpi.h>
#include <sched.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <mutex>
#include <string>

#include "mpi/mpi_transport.hpp"
#include "os/cpu.hpp"
#include "os/log.hpp"
#include "remote/hosts.hpp"
#include "remote/remote_backend.hpp"
#include "remote/worker_host.hpp"
#include "workers/launch.hpp"
#include "workers/supervisor.hpp"

namespace hoist::detail::mpi {

namespace {

/// The rank that the process was started as; in children of a rank it is that of another process.
constexpr const char* process_variable = "HOIST_MPI_PROCESS";

/// The number that a launcher has given this process; -1 if there is none.
int launched_rank() {
  for (const char* name :
       {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "MV2_COMM_WORLD_RANK", "SLURM_PROCID"}) {
    if (const char* const text = std::getenv(name)) return std::atoi(text);
  }
  return -1;
}

bool is_initialized() {
  int yes = 0;
  MPI_Initialized(&yes);
  return yes != 0;
}

bool is_finalized() {
  int yes = 0;
  MPI_Finalized(&yes);
  return yes != 0;
}

/// What this process is in the job.
struct Job {
  std::mutex mutex;
  pid_t rank = -1;  // this process, where HOIST_BACKEND has made worker hosts of the other ranks
  bool has_initialized = false;
  bool has_ended = false;
  remote::Hosts* hosts = nullptr;  // never destroyed, as loops may run at the end of the program
};

Job& job() {
  static auto* const one = new Job;
  return *one;
}

/// At the exit of rank 0.
void end_job();

/// MPICH takes its leave of the launcher in an exit handler that it adds here; a rank that ends
/// without, or finalizes MPI after it, counts as killed. Handlers run in the reverse order.
void initialize(Job& its) {
  if (is_initialized()) return;
  // One thread at a time calls MPI, whichever leads a loop.
  int provided = 0;
  MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &provided);
  its.has_initialized = true;
  std::atexit(end_job);
}

void end_job() {
  if (::getpid() != job().rank || is_finalized()) return;
  // The others are in MPI_Init, or wait for tasks.
  initialize(job());
  end_hosts();
  if (job().has_initialized) PMPI_Finalize();
}

std::string host_mode() {
  const char* const text = std::getenv("HOIST_HOSTS");
  return text != nullptr && *text != '\0' ? text : "rank";
}

/// For the master, which says what is wrong; hosts wait to be told that they end.
bool one_per_machine() {
  const std::string hosts = host_mode();
  if (hosts == "node") return true;
  if (hosts == "rank") return false;
  throw BadArgument("the environment variable HOIST_HOSTS is \"" + hosts +
                    "\"; it must be \"rank\" for a worker in each MPI rank, or \"node\" for one "
                    "rank on each machine that serves all of its cores");
}

remote::Hosts& hosts() {
  Job& its = job();
  const std::lock_guard lock(its.mutex);
  if (its.rank != ::getpid()) {
    throw BadArgument(
        "the backend \"mpi\" needs worker ranks: start the program as \"mpirun -n 5 env "
        "HOIST_BACKEND=mpi ./program\", with HOIST_BACKEND set for all ranks, and use the backend "
        "in the program itself, not in processes that it starts");
  }
  if (its.hosts != nullptr && !its.has_ended) return *its.hosts;
  if (its.has_ended || is_finalized()) {
    throw BadArgument("the backend \"mpi\" can't be used any more: MPI was finalized");
  }
  const bool one = one_per_machine();
  initialize(its);
  its.hosts = new remote::Hosts("mpi", std::make_unique<MpiTransport>(one));
  os::explain_with([&its] { return its.hosts->explain(); });
  return *its.hosts;
}

/// All cores that the machine lets this process have, however a launcher has bound it.
unsigned unbind() {
  cpu_set_t all;
  CPU_ZERO(&all);
  for (std::size_t i = 0; i < CPU_SETSIZE; ++i) CPU_SET(i, &all);
  ::sched_setaffinity(0, sizeof all, &all);
  return static_cast<unsigned>(os::usable_cores());
}

[[noreturn]] void run_host() {
  ::unsetenv("HOIST_BACKEND");
  ::prctl(PR_SET_NAME, "hoist-host");
  // Of the exit handlers, MPI's alone run: the program's main never began here.
  std::atexit([] {
    std::fflush(nullptr);
    ::_exit(0);
  });
  try {
    const unsigned cores = host_mode() == "node" ? unbind() : 1;
    initialize(job());
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    MpiTransport transport(false);
    remote::WorkerHost host(transport, {.slots = cores, .cores = cores});
    host.run();
    workers::Supervisor::here().end_all();
    transport.close();
    PMPI_Finalize();
  } catch (const std::exception& error) {
    os::log(LogLevel::error, "workers",
            "worker host (MPI rank " + std::to_string(launched_rank()) + "): " + error.what());
    // The others would wait for this one.
    if (is_initialized()) MPI_Abort(MPI_COMM_WORLD, 1);
    ::_exit(1);
  }
  std::exit(0);
}

/// Before main: ranks but the first become worker hosts.
void choose() {
  const char* const backend = std::getenv("HOIST_BACKEND");
  const int rank = launched_rank();
  if (backend == nullptr || std::string(backend) != "mpi" || rank < 0) return;
  const std::string own = std::to_string(::getpid());
  if (std::getenv(process_variable) != nullptr && std::getenv(process_variable) != own) {
    // A process that a rank has started, with its environment.
    ::unsetenv("HOIST_BACKEND");
    return;
  }
  ::setenv(process_variable, own.c_str(), 1);
  // Open MPI's MPI_Finalize otherwise waits for all ranks, also for those that have died. Nothing
  // is under way then, since hosts and master tell each other that they end.
  ::setenv("OMPI_MCA_async_mpi_finalize", "1", 0);
  if (rank > 0) run_host();
  job().rank = ::getpid();
  std::atexit(end_job);  // also where no loop initializes MPI
}

/// Refers to what a program with this library needs to be linked with; see CMakeLists.txt.
const bool registered = [] {
  static workers::BeforeMain before_main{.call = choose};
  workers::add_before_main(before_main);
  register_backend("mpi", [] { return std::make_shared<remote::RemoteBackend>(hosts); });
  return true;
}();

}  // namespace

void end_hosts() {
  Job& its = job();
  const std::lock_guard lock(its.mutex);
  if (its.rank != ::getpid() || std::exchange(its.has_ended, true)) return;
  if (its.hosts != nullptr) {
    its.hosts->end();
  } else {
    MpiTransport(false).close();
  }
}

}  // namespace hoist::detail::mpi

extern "C" {
/// For the linker: who names it has all of the library.
extern const int hoist_mpi_is_linked;
const int hoist_mpi_is_linked = 1;
}
