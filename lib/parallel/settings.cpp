// SPDX-License-Identifier: BSD-3-Clause
#include "parallel/settings.hpp"

#include <hoist/error.hpp>
#include <hoist/parallel.hpp>
#include <hoist/parallel_config.hpp>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <iterator>
#include <optional>
#include <utility>

#include "os/cpu.hpp"

namespace hoist {

namespace detail::parallel {

namespace {

/// Deeper nesting is taken for a loop that calls itself without end.
constexpr unsigned max_level = 10;

std::optional<int> jobs_from_environment() {
  const char* text = std::getenv("HOIST_N_JOBS");
  if (text == nullptr || *text == '\0') return std::nullopt;
  char* end = nullptr;
  const long n = std::strtol(text, &end, 10);
  if (*end != '\0' || n == 0 || n > 1'000'000 || n < -1'000'000) {
    throw BadArgument("the environment variable HOIST_N_JOBS is \"" + std::string(text) +
                      "\"; it must be a number of workers, or -1 for all cores");
  }
  return static_cast<int>(n);
}

void check_jobs(int n_jobs) {
  if (n_jobs == 0) {
    throw BadArgument(
        "n_jobs is 0; it must be a number of workers, or -1 for all usable cores, -2 "
        "for all but one, and so on");
  }
}

/// -1 is all there are, -2 all but one, and so on.
unsigned count_jobs(int n_jobs, const Backend& backend) {
  check_jobs(n_jobs);
  if (n_jobs > 0) return static_cast<unsigned>(n_jobs);
  return static_cast<unsigned>(
      std::max(1, static_cast<int>(backend.usable_workers()) + 1 + n_jobs));
}

/// What the loop's options say, or else those around it.
int wanted_jobs(const ParallelOptions& options, const LoopContext& context) {
  std::optional<int> wanted = options.n_jobs;
  if (!wanted && context.config) wanted = context.config->n_jobs;
  if (!wanted) wanted = jobs_from_environment();
  return wanted.value_or(-1);
}

unsigned resolve_jobs(const ParallelOptions& options, const LoopContext& context,
                      const Backend& backend) {
  if (!options.n_jobs && context.level >= 2) return 1;
  const unsigned whole = count_jobs(wanted_jobs(options, context), backend);
  if (options.n_jobs) return whole;
  // Inside a loop, the cores are shared with the loop's other tasks.
  return std::max(1U, whole / std::max(1U, context.jobs));
}

/// Whether the user has set how many threads libraries may start: hoist leaves that alone.
bool threads_are_set() {
  return std::any_of(std::begin(os::thread_variables), std::end(os::thread_variables),
                     [](const char* name) { return std::getenv(name) != nullptr; });
}

bool is_process_backend(const std::string& name) {
  return !find_backend(name)->traits().shares_memory;
}

std::string resolve_backend(const ParallelOptions& options, const LoopContext& context) {
  const bool shared = options.require == Require::shared_memory;
  if (!options.backend.empty()) {
    if (shared && is_process_backend(options.backend)) {
      throw BadArgument("require asks for shared memory, which the backend \"" + options.backend +
                        "\" does not have; leave one of them out, or use \"threads\"");
    }
    return options.backend;
  }
  if (context.level >= 2) return "sequential";
  const auto usable = [&](const std::string& name) {
    return !name.empty() && !(shared && is_process_backend(name));
  };
  if (context.config && usable(context.config->backend)) return context.config->backend;
  if (context.level == 0) {
    const char* named = std::getenv("HOIST_BACKEND");
    if (named != nullptr && usable(named)) return named;
    if (options.prefer == Prefer::processes) {
      const auto names = backend_names();
      return std::find(names.begin(), names.end(), "spawn") != names.end() ? "spawn" : "fork";
    }
  }
  return "threads";
}

}  // namespace

void inherit(ParallelOptions& options, const ParallelOptions& from) {
  if (!options.require.is_set()) options.require = from.require;
  // A mere preference yields to a requirement.
  if (!options.prefer.is_set() && options.require != Require::shared_memory) {
    options.prefer = from.prefer;
  }
  if (options.backend.empty()) options.backend = from.backend;
  if (!options.n_jobs) options.n_jobs = from.n_jobs;
  if (!options.verbose.is_set()) options.verbose = from.verbose;
  if (!options.progress.is_set()) options.progress = from.progress;
  if (!options.timeout.is_given()) options.timeout = from.timeout;
  if (!options.task_timeout.is_given()) options.task_timeout = from.task_timeout;
  if (!options.stop_token.stop_possible()) options.stop_token = from.stop_token;
  if (!options.max_nbytes.is_set()) options.max_nbytes = from.max_nbytes;
  if (!options.mmap_mode.is_set()) options.mmap_mode = from.mmap_mode;
  if (options.temp_folder.empty()) options.temp_folder = from.temp_folder;
  if (!options.inner_max_num_threads.is_set()) {
    options.inner_max_num_threads = from.inner_max_num_threads;
  }
}

}  // namespace detail::parallel

namespace detail {

void check_options(const ParallelOptions& options) {
  if (options.n_jobs) parallel::check_jobs(*options.n_jobs);
  if (!options.backend.empty()) find_backend(options.backend);
  if (options.prefer == Prefer::processes && options.require == Require::shared_memory) {
    throw BadArgument(
        "prefer asks for processes and require for shared memory, which they do not "
        "have; leave one of them out");
  }
  if (!options.batch_size.is_automatic() && options.batch_size.tasks() < 1) {
    throw BadArgument("batch_size is " + std::to_string(options.batch_size.tasks()) +
                      "; it must be at least 1, or automatic");
  }
  for (const auto& [name, value] : options.workers.env) {
    if (name.empty() || name.find('=') != std::string::npos) {
      throw BadArgument("WorkerOptions::env has the name \"" + name +
                        "\"; names of environment variables are not empty and have no \"=\"");
    }
  }
  if (options.workers.idle_timeout < std::chrono::milliseconds(0)) {
    throw BadArgument("WorkerOptions::idle_timeout is " +
                      std::to_string(options.workers.idle_timeout.count()) +
                      " ms; it must not be negative");
  }
  for (const auto& [name, limit] :
       {std::pair("timeout", options.timeout), std::pair("task_timeout", options.task_timeout)}) {
    if (limit.is_set() && !(limit.seconds() > 0)) {
      throw BadArgument(std::string(name) + " is " + std::to_string(limit.seconds()) +
                        " s; it must be positive, or left out for no limit");
    }
  }
}

}  // namespace detail

namespace detail::parallel {

Settings resolve_settings(const ParallelOptions& given, bool open) {
  const LoopContext& context = loop_context();
  if (context.level >= max_level) {
    throw BadArgument("a loop is nested " + std::to_string(context.level) +
                      " deep in others: does its task start the loop it is in?");
  }
  Settings settings;
  settings.options = given;
  if (context.config) inherit(settings.options, *context.config);
  settings.options.backend = given.backend;  // a scope's backend need not meet `require`
  settings.backend_name = resolve_backend(settings.options, context);
  settings.options.backend = settings.backend_name;
  check_options(settings.options);
  settings.backend = find_backend(settings.backend_name);
  settings.n_jobs = resolve_jobs(given, context, *settings.backend);
  settings.all_workers = context.level == 0 && wanted_jobs(given, context) == -1;
  if (settings.n_jobs == 1 && settings.backend_name == "threads" && !open) {
    settings.backend_name = "sequential";
    settings.backend = find_backend(settings.backend_name);
  }
  settings.traits = settings.backend->traits();
  if (settings.traits.sequential) settings.n_jobs = 1;
  const PreDispatch& ahead = settings.options.pre_dispatch;
  if (ahead.text() != "all") {
    settings.window = evaluate_pre_dispatch(ahead.text(), settings.n_jobs);
    if (settings.window == 0) {
      throw BadArgument("pre_dispatch is \"" + ahead.text() +
                        "\", which is less than 1; it must allow one task at least");
    }
  }
  if (!settings.options.batch_size.is_automatic()) {
    settings.batch = static_cast<std::size_t>(settings.options.batch_size.tasks());
  }
  settings.inner_threads = {settings.options.inner_max_num_threads, true};
  const unsigned sharers = settings.traits.own_cores ? 1 : context.jobs * settings.n_jobs;
  if (settings.inner_threads.threads == 0 && sharers > 1 && !threads_are_set()) {
    settings.inner_threads = {os::usable_cores_each(sharers), false};
  }
  settings.inner = {context.level + 1, sharers,
                    context.config,    std::make_shared<StopFlag>(),
                    nullptr,           memory::current_log()};
  if (open) {
    settings.options.stop_token = {};  // a scope's
  } else {
    settings.inner.stop->token = settings.options.stop_token;
    settings.inner.stop->outer = context.stop;
  }
  return settings;
}

}  // namespace detail::parallel

Parallel::Parallel(ParallelOptions options) : options_(std::move(options)) {
  detail::check_options(options_);
}

int effective_n_jobs(std::optional<int> n_jobs) {
  ParallelOptions options;
  options.n_jobs = n_jobs;
  const detail::parallel::LoopContext& context = detail::parallel::loop_context();
  const auto backend = find_backend(detail::parallel::resolve_backend(options, context));
  if (backend->traits().sequential) return 1;
  return static_cast<int>(detail::parallel::resolve_jobs(options, context, *backend));
}

}  // namespace hoist
