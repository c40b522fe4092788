// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/redis_server.hpp"
#include "support/temp_dir.hpp"

namespace support {

/// What a command has printed, on stdout and stderr, and how it ended.
struct CommandOutput {
  int code = -1;  ///< 124: it was ended, as it took too long
  std::string text;
  std::vector<std::string> lines;

  bool has(const std::string& part) const { return text.find(part) != std::string::npos; }
};

inline CommandOutput run_command(const std::string& command, int seconds = 60) {
  CommandOutput ended;
  const std::string limited =
      "timeout --kill-after=5 " + std::to_string(seconds) + " " + command + " 2>&1";
  std::FILE* const output = ::popen(limited.c_str(), "r");
  if (output == nullptr) throw std::runtime_error("popen failed");
  char buffer[4096];
  while (std::fgets(buffer, sizeof buffer, output) != nullptr) ended.text += buffer;
  const int status = ::pclose(output);
  ended.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  std::istringstream lines(ended.text);
  for (std::string line; std::getline(lines, line);) ended.lines.push_back(line);
  return ended;
}

/// A Slurm cluster of a few nodes on this machine, without systemd, munge, accounting and control
/// groups. It listens on 127.0.0.1, where whoever reaches it may do all that this user may. Its
/// daemons end with this process, however that ends.
class SlurmCluster {
 public:
  static bool is_installed() {
    for (const char* program : {"slurmctld", "slurmd", "srun"}) {
      if (std::system((path() + "command -v " + program + " >/dev/null").c_str()) != 0)
        return false;
    }
    return true;
  }

  explicit SlurmCluster(int nodes = 4, int cores = 2) : nodes_(nodes) {
    ::setenv("PATH", (std::string(std::getenv("PATH")) + ":/usr/sbin:/sbin").c_str(), 1);
    for (int i = 1; i <= nodes; ++i) std::filesystem::create_directories(directory_ / spool(i));
    std::filesystem::create_directories(directory_ / "state");
    ::setenv("SLURM_CONF", conf().c_str(), 1);
    // A port that was free may be taken by now.
    for (int attempt = 0; attempt < 5; ++attempt) {
      write_conf(cores);
      if (start()) return;
      end_daemons();
    }
    throw std::runtime_error("Slurm doesn't start: " + slurp(directory_ / "slurmctld.log"));
  }
  ~SlurmCluster() {
    run_command("scancel --signal=KILL --user=" + user(), 10);
    run_command("scancel --user=" + user(), 10);
    for (int i = 0; i < 100 && !run_command("squeue -h -t R,CG", 10).text.empty(); ++i) pause();
    end_daemons();
    ::unsetenv("SLURM_CONF");
  }

  std::string conf() const { return (directory_ / "slurm.conf").string(); }

  /// A node dies: its daemons fall silent before its tasks end, so that nobody tells Slurm of
  /// these, and then Slurm notices.
  void kill_node(int node) {
    node_daemons_.erase(node);
    const std::vector<int> steps = step_daemons("slurmd-" + name_of(node) + ".log");
    for (const int step : steps) ::kill(step, SIGSTOP);
    for (const int step : steps) kill_tree(step);
    const auto ended =
        run_command("scontrol update nodename=" + name_of(node) + " state=down reason=test");
    if (ended.code != 0) throw std::runtime_error("scontrol: " + ended.text);
  }
  /// Jobs that wait or run.
  std::size_t jobs() const { return run_command("squeue -h").lines.size(); }
  /// Processes that run a program now.
  static std::size_t processes(const std::filesystem::path& program) {
    std::size_t n = 0;
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
      std::error_code error;
      const auto exe = std::filesystem::read_symlink(entry.path() / "exe", error);
      n += !error && exe == program ? 1 : 0;
    }
    return n;
  }

 private:
  static std::string path() { return "PATH=$PATH:/usr/sbin:/sbin; "; }
  static std::string user() { return std::to_string(::getuid()); }
  // (g++ 12 warns of an insertion in front of a number.)
  static std::string name_of(int node) { return std::string("n").append(std::to_string(node)); }
  static std::string spool(int node) { return "spool-" + name_of(node); }
  static void pause() { std::this_thread::sleep_for(std::chrono::milliseconds(50)); }

  void write_conf(int cores) const {
    char host[256] = {};
    ::gethostname(host, sizeof host - 1);
    const std::string name = std::string(host).substr(0, std::string(host).find('.'));
    const std::string here = directory_.path().string();
    const std::string me = run_command("id -un").lines.at(0);
    const int port = free_port() % 50000 + 10000;
    const std::string last = std::to_string(nodes_);
    std::ofstream(conf()) << "ClusterName=hoist\nSlurmctldHost=" << name
                          << "(127.0.0.1)\nSlurmctldAddr=127.0.0.1\nSlurmUser=" << me
                          << "\nSlurmdUser=" << me
                          << "\nAuthType=auth/none\nCredType=cred/none\nAuthInfo=cred_expire=5\n"
                             "SlurmctldPort="
                          << port
                          << "\nProctrackType=proctrack/linuxproc\nTaskPlugin=task/none\n"
                             "JobAcctGatherType=jobacct_gather/none\n"
                             "AccountingStorageType=accounting_storage/none\n"
                             "SwitchType=switch/none\nMpiDefault=none\nReturnToService=2\n"
                             "SelectType=select/cons_tres\nSelectTypeParameters=CR_Core\n"
                             "SchedulerType=sched/backfill\n"
                             "SchedulerParameters=sched_interval=1,sched_min_interval=0,"
                             "batch_sched_delay=0,bf_interval=1\n"
                             "StateSaveLocation="
                          << here << "/state\nSlurmdSpoolDir=" << here
                          << "/spool-%n\nTmpFS=/tmp\nSlurmctldPidFile=" << here
                          << "/slurmctld.pid\nSlurmdPidFile=" << here
                          << "/slurmd-%n.pid\nSlurmctldLogFile=" << here
                          << "/slurmctld.log\nSlurmdLogFile=" << here
                          << "/slurmd-%n.log\nSlurmdParameters=config_overrides\n"
                             "SlurmdTimeout=10\nSlurmctldTimeout=10\nInactiveLimit=0\nKillWait=2\n"
                             "MinJobAge=60\nNodeName=n[1-"
                          << last << "] NodeHostname=" << name << " NodeAddr=127.0.0.1 Port=["
                          << port + 1 << "-" << port + nodes_ << "] CPUs=" << cores
                          << " State=UNKNOWN\n"
                             "PartitionName=test Nodes=ALL Default=YES MaxTime=INFINITE State=UP\n";
  }

  bool start() {
    controller_ = Daemon({"slurmctld", "-D", "-c"}, (directory_ / "slurmctld.out").string());
    for (int i = 1; i <= nodes_; ++i) {
      const std::string name = name_of(i);
      node_daemons_[i] =
          Daemon({"slurmd", "-D", "-N", name}, (directory_ / (name + ".out")).string());
    }
    for (int i = 0; i < 200 && !controller_.has_ended(); ++i, pause()) {
      const auto idle = run_command("sinfo -hN -t idle", 10);
      if (idle.code == 0 && idle.lines.size() == static_cast<std::size_t>(nodes_)) return true;
    }
    return false;
  }

  void end_daemons() {
    node_daemons_.clear();
    controller_ = {};
    for (int i = 1; i <= nodes_; ++i) {
      for (const int step : step_daemons("slurmd-" + name_of(i) + ".log")) kill_tree(step);
    }
  }

  /// Those that write to this log: they are no children of slurmd.
  std::vector<int> step_daemons(const std::string& log) const {
    std::vector<int> found;
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
      // One that ends meanwhile is none.
      if (!slurp_some(entry.path() / "comm", 16).starts_with("slurmstepd\n")) continue;
      std::error_code error;
      for (std::filesystem::directory_iterator fd(entry.path() / "fd", error), end;
           !error && fd != end; fd.increment(error)) {
        std::error_code gone;
        if (std::filesystem::read_symlink(fd->path(), gone) == directory_ / log) {
          found.push_back(std::stoi(entry.path().filename()));
          break;
        }
      }
    }
    return found;
  }

  static void kill_tree(int pid) {
    std::error_code error;
    for (std::filesystem::directory_iterator at("/proc/" + std::to_string(pid) + "/task", error),
         end;
         !error && at != end; at.increment(error)) {
      std::ifstream children(at->path() / "children");
      for (int child = 0; children >> child;) kill_tree(child);
    }
    ::kill(pid, SIGKILL);
  }

  const int nodes_;
  TempDir directory_;
  Daemon controller_;
  std::map<int, Daemon> node_daemons_;
};

}  // namespace support
