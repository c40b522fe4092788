// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/backend.hpp>
#include <hoist/error.hpp>
#include <hoist/slurm.hpp>
#include <hoist/worker.hpp>

#include <sys/prctl.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

#include "remote/process_hosts.hpp"
#include "remote/remote_backend.hpp"
#include "slurm/array_session.hpp"
#include "slurm/element.hpp"
#include "slurm/launcher.hpp"
#include "workers/launch.hpp"

namespace hoist::detail::slurm {

namespace {

constinit remote::ProcessHosts process_hosts;
/// By use_slurm; forked children have it, too. Never freed, as loops may be reading it.
constinit std::atomic<const SlurmOptions*> used_options{nullptr};

SlurmOptions options_here() {
  const SlurmOptions* const used = used_options.load();
  return used != nullptr ? *used : SlurmOptions();
}

/// A task that starts jobs which run such tasks would do so without end.
void check_is_program() {
  if (!in_worker()) return;
  throw BadArgument(
      "the backend \"slurm\" is for the program itself, not for tasks that it runs on a cluster");
}

remote::Hosts& hosts() {
  check_is_program();
  return process_hosts.here([] { return &launch_hosts(options_here()); });
}

/// Each mode is a backend of its own.
class SlurmBackend final : public Backend {
 public:
  BackendTraits traits() const override {
    BackendTraits traits = launcher_.traits();
    traits.own_cores = is_array();
    return traits;
  }
  unsigned usable_workers() const override {
    return is_array() ? most_elements : launcher_.usable_workers();
  }
  std::unique_ptr<Session> open(Loop& loop) override {
    check_is_program();
    const SlurmOptions options = options_here();
    return options.mode == SlurmMode::array ? open_array_session(loop, options)
                                            : launcher_.open(loop);
  }

 private:
  static bool is_array() { return options_here().mode == SlurmMode::array; }
  remote::RemoteBackend launcher_{hosts};
};

/// Before main: whether Slurm has started this process for another one.
void choose() {
  const char* const chunks = std::getenv(element_variable);
  const char* const number = std::getenv("SLURM_ARRAY_TASK_ID");
  const char* const messages = std::getenv(host_variable);
  const std::string chunk =
      chunks != nullptr && number != nullptr ? std::string(chunks) + "." + number : "";
  const std::string host = messages != nullptr ? messages : "";
  if (chunk.empty() && host.empty()) return;
  // What is started here is neither.
  for (const char* name : {element_variable, host_variable, "HOIST_BACKEND"}) ::unsetenv(name);
  if (!host.empty()) {
    ::prctl(PR_SET_NAME, "hoist-host");
    run_host(host);
  }
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
  if (options.mode == SlurmMode::launcher && options.hosts == 0) {
    throw BadArgument("use_slurm: SlurmOptions::hosts is 0, and loops would wait for ever");
  }
  const auto set = [&] { used_options.store(new SlurmOptions(options)); };
  if (options.mode == SlurmMode::array) return set();
  if (!process_hosts.set_before(set)) {
    throw BadArgument("use_slurm: loops of this process have worker hosts already");
  }
}

}  // namespace hoist

extern "C" {
/// For the linker: who names it has all of the library.
extern const int hoist_slurm_is_linked;
const int hoist_slurm_is_linked = 1;
}
