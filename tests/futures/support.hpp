// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <doctest/doctest.h>
#include <hoist/error.hpp>
#include <hoist/executor.hpp>

#include <unistd.h>

#include <chrono>
#include <exception>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include "support/hard_limit.hpp"

namespace futures {

using support::HardLimit;

/// Where an executor makes its calls.
enum class On : int { threads, fork, spawn };

inline std::string name_of(On on) {
  return on == On::threads ? "threads" : on == On::fork ? "fork" : "spawn";
}

inline std::unique_ptr<hoist::Executor> make_executor(On on, hoist::ExecutorOptions options = {}) {
  if (on == On::threads) return std::make_unique<hoist::ThreadPoolExecutor>(options);
  options.start_method = on == On::fork ? hoist::StartMethod::fork : hoist::StartMethod::spawn;
  return std::make_unique<hoist::ProcessPoolExecutor>(options);
}

/// Calls work(on) for each kind of executor; `work` must come to an end within 40 s.
template <class Work>
void for_each_backend(const Work& work) {
  for (const On on : {On::threads, On::fork, On::spawn}) {
    CAPTURE(name_of(on));
    const HardLimit limit;
    work(on);
  }
}
template <class Work>
void for_each_process_backend(const Work& work) {
  for_each_backend([&](On on) {
    if (on != On::threads) work(on);
  });
}
/// Without "fork", which is refused while the test has threads of its own.
template <class Work>
void for_each_backend_beside_threads(const Work& work) {
  for_each_backend([&](On on) {
    if (on != On::fork) work(on);
  });
}

/// The exception of a future, or what waiting for it throws.
template <class F>
std::exception_ptr error_of(const F& call) {
  try {
    call();
    return nullptr;
  } catch (...) {
    return std::current_exception();
  }
}

template <class E>
bool is(const std::exception_ptr& error) {
  if (error == nullptr) return false;
  try {
    std::rethrow_exception(error);
  } catch (const E&) {
    return true;
  } catch (...) {
    return false;
  }
}

/// Type and text, for reports.
inline std::string text_of(const std::exception_ptr& error) {
  if (error == nullptr) return "no error";
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& e) {
    return std::string(typeid(e).name()) + ": " + e.what();
  } catch (...) {
    return "something else";
  }
}

/// How many files of note_pids() or spill() are in a directory.
inline std::size_t count_marks(const std::filesystem::path& directory) {
  std::size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    if (entry.path().extension() != ".tmp") ++count;
  }
  return count;
}

/// Seconds since it was made.
class Stopwatch {
 public:
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
  }

 private:
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

inline int square(int x) { return x * x; }
inline int add(int x, int y) { return x + y; }
inline int own_pid() { return static_cast<int>(::getpid()); }
/// Where it runs, too.
inline std::pair<int, int> squared_by(int x) { return {x * x, own_pid()}; }
inline int sleep_ms(int ms) {
  std::this_thread::sleep_for(std::chrono::milliseconds(ms));
  return ms;
}
/// Returns 1 once there is such a file.
inline int wait_for_file(const std::string& path) {
  for (int i = 0; i < 20'000 && !std::filesystem::exists(path); ++i) sleep_ms(1);
  return std::filesystem::exists(path) ? 1 : 0;
}
inline int fail_at(int x, int bad) {
  if (x == bad) throw std::out_of_range("number " + std::to_string(x));
  return x;
}

}  // namespace futures
