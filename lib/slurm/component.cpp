// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/backend.hpp>
#include <hoist/error.hpp>
#include <hoist/slurm.hpp>

#include <sys/prctl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <string>

#include "os/fork_hook.hpp"
#include "slurm/array_session.hpp"
#include "slurm/element.hpp"
#include "workers/launch.hpp"

namespace hoist::detail::slurm {

namespace {

/// What this process uses the cluster for.
struct Use {
  std::mutex mutex;
  SlurmOptions options;
};

constinit os::PerProcess<Use> use;

SlurmOptions options_here() {
  Use& its = use.here();
  const std::lock_guard lock(its.mutex);
  return its.options;
}

class SlurmBackend final : public Backend {
 public:
  BackendTraits traits() const override {
    BackendTraits traits;
    traits.shares_memory = false;
    traits.kills_tasks = true;
    traits.own_cores = true;
    traits.batch_seconds = 4e-3;
    return traits;
  }
  unsigned usable_workers() const override { return most_elements; }
  std::unique_ptr<Session> open(Loop& loop) override {
    return open_array_session(loop, options_here());
  }
};

/// Before main: whether this process is an element of an array.
void choose() {
  const char* const chunks = std::getenv(element_variable);
  const char* const number = std::getenv("SLURM_ARRAY_TASK_ID");
  if (chunks == nullptr || number == nullptr) return;
  const std::string chunk = std::string(chunks) + "." + number;
  // What is started here is no element.
  ::unsetenv(element_variable);
  ::unsetenv("HOIST_BACKEND");
  ::prctl(PR_SET_NAME, "hoist-element");
  const int code = run_element(chunk);
  std::fflush(nullptr);
  ::_exit(code);
}

const bool registered = [] {
  static workers::BeforeMain before_main{.call = choose};
  workers::add_before_main(before_main);
  register_backend("slurm", [] { return std::make_shared<SlurmBackend>(); });
  return true;
}();

}  // namespace

}  // namespace hoist::detail::slurm

namespace hoist {

void use_slurm(const SlurmOptions& options) {
  using namespace detail::slurm;
  if (options.mode == SlurmMode::array && options.directory.empty()) {
    throw BadArgument(
        "use_slurm: an array needs a directory that all nodes share, SlurmOptions::directory: it "
        "is what the next run of the program goes on from");
  }
  for (const std::string& option : options.extra) {
    if (!option.starts_with("-") || option.find('\n') != std::string::npos) {
      throw BadArgument("use_slurm: \"" + option + "\" is no option of sbatch; those begin with -");
    }
  }
  Use& its = use.here();
  const std::lock_guard lock(its.mutex);
  its.options = options;
}

}  // namespace hoist

extern "C" {
/// For the linker: who names it has all of the library.
extern const int hoist_slurm_is_linked;
const int hoist_slurm_is_linked = 1;
}
