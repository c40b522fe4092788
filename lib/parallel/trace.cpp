// SPDX-License-Identifier: BSD-3-Clause
#include "parallel/trace.hpp"

#include <hoist/outcome.hpp>

#include <unistd.h>

#include <cstdio>
#include <span>
#include <utility>

#include <fmt/format.h>

#include "base/json_text.hpp"

namespace hoist::detail::parallel {

Trace::Trace(std::filesystem::path path, std::string backend, unsigned n_jobs)
    : file_(std::move(path)), backend_(std::move(backend)), n_jobs_(n_jobs) {}

double Trace::micros(Clock::time_point at) const {
  return std::chrono::duration<double, std::micro>(at - start_).count();
}

void Trace::note(const Worker& worker, Event event) {
  const std::lock_guard lock(mutex_);
  event.worker = worker.number;
  event.pid = worker.pid != 0 ? worker.pid : ::getpid();
  std::string& name = rows_[{event.pid, event.worker}];
  if (name.empty()) {
    name = fmt::format("worker {}{}{}", worker.number, worker.machine.empty() ? "" : " on ",
                       worker.machine);
  }
  events_.push_back(std::move(event));
}

void Trace::task(std::size_t task, const Worker& worker, Clock::time_point began, double seconds,
                 const std::exception_ptr& error) {
  note(worker, {.task = task,
                .began = micros(began),
                .seconds = seconds * 1e6,
                .error = error ? error_text(error) : std::string()});
}

void Trace::batch(TaskRange tasks, const Worker& worker, Clock::time_point began, double seconds) {
  note(worker, {.task = tasks.first,
                .tasks = tasks.size(),
                .began = micros(began),
                .seconds = seconds * 1e6});
}

void Trace::write() {
  std::string text = fmt::format(
      "{{\"displayTimeUnit\":\"ms\",\"otherData\":{{\"backend\":{},\"n_jobs\":{},"
      "\"elapsed_us\":{:.3f}}},\n\"traceEvents\":[",
      base::json_text(backend_), n_jobs_, micros(Clock::now()));
  const char* separator = "\n";
  for (const auto& [row, name] : rows_) {
    text += fmt::format(
        "{}{{\"name\":\"thread_name\",\"ph\":\"M\",\"pid\":{},\"tid\":{},"
        "\"args\":{{\"name\":{}}}}}",
        separator, row.first, row.second, base::json_text(name));
    separator = ",\n";
  }
  for (const Event& e : events_) {
    if (e.tasks == 0) {
      text += fmt::format(
          "{}{{\"name\":\"task {}\",\"cat\":\"task\",\"ph\":\"X\",\"ts\":{:.3f},\"dur\":{:.3f},"
          "\"pid\":{},\"tid\":{},\"args\":{{\"index\":{},\"failed\":{}{}}}}}",
          separator, e.task, e.began, e.seconds, e.pid, e.worker, e.task, !e.error.empty(),
          e.error.empty() ? "" : ",\"error\":" + base::json_text(e.error));
    } else {
      text += fmt::format(
          "{}{{\"name\":\"batch of "
          "{}\",\"cat\":\"batch\",\"ph\":\"X\",\"ts\":{:.3f},\"dur\":{:.3f},"
          "\"pid\":{},\"tid\":{},\"args\":{{\"first\":{},\"tasks\":{}}}}}",
          separator, e.tasks, e.began, e.seconds, e.pid, e.worker, e.task, e.tasks);
    }
  }
  text += "\n]}\n";
  file_.write(std::as_bytes(std::span(text)));
  file_.commit();
}

}  // namespace hoist::detail::parallel
