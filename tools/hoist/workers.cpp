// SPDX-License-Identifier: BSD-3-Clause
//
// hoist workers

#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <hoist/error.hpp>

#include <algorithm>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "commands.hpp"
#include "json.hpp"
#include "output.hpp"

#ifdef HOIST_TOOL_HAS_REDIS
#include <hoist/redis.hpp>
#endif

namespace hoist::tool {

namespace {

struct Arguments {
  std::string url;
  std::vector<std::string> drain;
  std::vector<std::string> end;
  bool json = false;
};

#ifdef HOIST_TOOL_HAS_REDIS

std::vector<RedisWorkerHost> hosts_of(const Arguments& arguments) {
  auto hosts = redis_worker_hosts({.url = arguments.url});
  std::ranges::sort(hosts, [](const RedisWorkerHost& a, const RedisWorkerHost& b) {
    return std::tie(a.machine, a.pid, a.id) < std::tie(b.machine, b.pid, b.id);
  });
  return hosts;
}

/// The ids of all hosts, of a machine's, or of the one whose id begins so. Throws for a name that
/// is nobody's (an empty one, of a variable that isn't set perhaps, too), and for the beginning of
/// several.
std::vector<std::string> ids_of(const std::string& name,
                                const std::vector<RedisWorkerHost>& hosts) {
  std::vector<std::string> ids;
  std::vector<std::string> begun;
  for (const RedisWorkerHost& host : hosts) {
    if (name == "all" || name == host.machine) ids.push_back(host.id);
    if (host.id.starts_with(name)) begun.push_back(host.id);
  }
  if (!ids.empty()) return ids;
  if (begun.empty() || name.empty()) throw NotFound("no worker host is named \"" + name + "\"");
  if (begun.size() > 1) {
    throw BadArgument("the ids of " + std::to_string(begun.size()) + " worker hosts begin with \"" +
                      name + "\": name one, its machine, or all");
  }
  return begun;
}

/// Tells those to leave that were named.
void send_away(const Arguments& arguments, const std::vector<RedisWorkerHost>& hosts) {
  const auto tell = [&](const std::vector<std::string>& names, HostEnd when) {
    for (const std::string& name : names) {
      bool any = false;
      for (const std::string& id : ids_of(name, hosts)) {
        any = end_redis_worker_host({.url = arguments.url}, id, when) || any;
      }
      if (!any) throw NotFound("the worker host \"" + name + "\" has left by itself");
    }
  };
  tell(arguments.drain, HostEnd::when_done);
  tell(arguments.end, HostEnd::now);
}

std::string state_of(const RedisWorkerHost& host) {
  if (host.pid == 0) return "new";
  if (host.is_leaving) return "leaves";
  return host.workers > 0 ? "serves" : "waits";
}

void print_table(const std::vector<RedisWorkerHost>& hosts) {
  Table table({"HOST", "MACHINE", ">PID", ">CORES", ">SLOTS", ">WORKERS", ">PROGRAMS", ">TASKS",
               ">TASKS/S", ">AGE", "STATE"});
  unsigned slots = 0;
  for (const RedisWorkerHost& host : hosts) {
    slots += host.slots;
    table.add({printable(host.id), printable(host.machine), std::to_string(host.pid),
               std::to_string(host.cores), std::to_string(host.slots), std::to_string(host.workers),
               std::to_string(host.programs), count_text(host.tasks),
               fmt::format("{:.1f}", host.tasks_per_second), duration_text(host.age),
               state_of(host)});
  }
  fmt::print("{} for {}\n", counted(hosts.size(), "worker host", "worker hosts"),
             counted(slots, "worker", "workers"));
  if (!hosts.empty()) table.print();
}

void print_json(const std::vector<RedisWorkerHost>& hosts) {
  Json json;
  json.begin_array();
  for (const RedisWorkerHost& host : hosts) {
    json.begin_object()
        .member("id", host.id)
        .member("machine", host.machine)
        .member("pid", host.pid)
        .member("slots", host.slots)
        .member("cores", host.cores)
        .member("workers", host.workers)
        .member("programs", host.programs)
        .member("tasks", host.tasks)
        .member("tasks_per_second", host.tasks_per_second)
        .member("age_seconds", host.age.count())
        .member("state", state_of(host))
        .end_object();
  }
  json.end_array();
  json.print();
}

void run(const Arguments& arguments) {
  const auto hosts = hosts_of(arguments);
  if (!arguments.drain.empty() || !arguments.end.empty()) return send_away(arguments, hosts);
  if (arguments.json) {
    print_json(hosts);
  } else {
    print_table(hosts);
  }
}

#else

void run(const Arguments&) {
  throw BadArgument("this hoist was built without hoist::redis (OpenSSL was missing)");
}

#endif

}  // namespace

void add_workers(CLI::App& app) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command =
      app.add_subcommand("workers", "List the worker hosts at a Redis server, or end them");
  command->add_option("URL", arguments->url, "redis://:PASSWORD@HOST/NAME, as for HOIST_WORKER")
      ->envname("HOIST_URL")
      ->required();
  command->add_option("--drain", arguments->drain,
                      "Hosts that are to leave once the tasks they have are done: the beginning of "
                      "an id, a machine, or \"all\"");
  command->add_option("--end", arguments->end,
                      "Hosts that are to leave now: what they run is run again elsewhere");
  command->add_flag("--json", arguments->json, "As JSON");
  command->footer(
      "The password may be in HOIST_REDIS_PASSWORD, so that it is in no command line.\n\n"
      "Examples:\n  hoist workers rediss://head/project\n"
      "  hoist workers rediss://head/project --drain node7");
  command->callback([arguments] { run(*arguments); });
}

}  // namespace hoist::tool
