// SPDX-License-Identifier: BSD-3-Clause
//
// Standard streams and surroundings of processes.
#include <doctest/doctest.h>
#include <hoist/process.hpp>
#include <hoist/shared.hpp>

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <stdexcept>
#include <string>

#include "support/child_program.hpp"
#include "support/processes.hpp"
#include "support/sanitized.hpp"

using namespace hoist;
using namespace std::chrono_literals;
using support::all_methods;
using support::ChildProgram;

namespace {

StartMethod method_here() {
  return static_cast<StartMethod>(std::atoi(std::getenv("TEST_METHOD")));
}

std::string variable_of(StartMethod method) {
  return "TEST_METHOD=" + std::to_string(static_cast<int>(method));
}

void run(void (*work)()) {
  Process process({.name = "printer", .start_method = method_here()}, work);
  process.start();
  process.join();
  std::printf("code %d\n", process.exitcode().value_or(-1000));
}

void fail() {
  try {
    throw std::invalid_argument("the cause");
  } catch (...) {
    std::throw_with_nested(std::runtime_error("the message"));
  }
}

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t n = 0;
  for (std::size_t at = text.find(part); at != text.npos; at = text.find(part, at + 1)) ++n;
  return n;
}

}  // namespace

TEST_CASE("program with output in buffers" * doctest::skip()) {
  std::printf("parent printf\n");
  std::cout << "parent cout\n";
  const std::string path = std::getenv("TEST_FILE");
  std::FILE* const file = std::fopen(path.c_str(), "w");
  std::fputs("parent file\n", file);
  run([] {
    std::printf("child printf\n");
    std::cout << "child cout\n";
    std::clog << "child clog\n";
    std::FILE* const other =
        std::fopen((std::string(std::getenv("TEST_FILE")) + ".child").c_str(), "w");
    std::fputs("never closed\n", other);
  });
  std::fclose(file);
}

TEST_CASE("output is in order, written once, and complete, also in files that nobody closes") {
  for (const StartMethod method : all_methods) {
    CAPTURE(static_cast<int>(method));
    const support::TempDir dir;
    const std::string file = (dir / "file").string();
    ChildProgram program("program with output in buffers",
                         {variable_of(method), "TEST_FILE=" + file});
    REQUIRE(program.ends_within(60s));
    const std::string output = program.output();
    for (const char* line :
         {"parent printf\n", "parent cout\n", "child printf\n", "child cout\n"}) {
      CHECK(count(output, line) == 1);
    }
    CHECK(output.find("parent cout") < output.find("child printf"));
    CHECK(output.find("child cout") < output.find("code 0"));
    CHECK(count(program.errors(), "child clog\n") == 1);
    CHECK(support::slurp(file) == "parent file\n");
    CHECK(support::slurp(file + ".child") == "never closed\n");
  }
}

TEST_CASE("program whose child throws" * doctest::skip()) { run(fail); }

TEST_CASE("an uncaught exception is written with its type, text, cause and stack") {
  for (const StartMethod method : all_methods) {
    CAPTURE(static_cast<int>(method));
    ChildProgram program("program whose child throws", {variable_of(method)});
    REQUIRE(program.ends_within(60s));
    CHECK(count(program.output(), "code 1\n") == 1);
    const std::string errors = program.errors();
    CHECK(errors.starts_with("Process printer:\nstd::runtime_error: the message\n"));
    CHECK(count(errors, "caused by std::invalid_argument: the cause") == 1);
    if (!support::sanitized) CHECK(count(errors, "fail()") >= 1);
  }
}

TEST_CASE("program without stdout" * doctest::skip()) {
  ::close(STDOUT_FILENO);
  Process process({.start_method = method_here()}, [] {
    std::printf("to nobody\n");
    std::cout << "to nobody\n";
    std::exit(4);
  });
  process.start();
  process.join();
  std::_Exit(process.exitcode() == 4 ? 0 : 1);
}

TEST_CASE("program whose stdout has no reader" * doctest::skip()) {
  int ends[2];
  if (::pipe(ends) != 0) std::_Exit(2);
  std::cout.flush();
  ::dup2(ends[1], STDOUT_FILENO);
  ::close(ends[0]);
  ::close(ends[1]);
  Process process({.start_method = method_here()}, [] {
    std::printf("to nobody\n");
    std::exit(4);
  });
  process.start();
  process.join();
  std::_Exit(process.exitcode() == 4 ? 0 : 1);
}

TEST_CASE("program whose stderr has no reader" * doctest::skip()) {
  int ends[2];
  if (::pipe(ends) != 0) std::_Exit(2);
  ::dup2(ends[1], STDERR_FILENO);
  ::close(ends[0]);
  ::close(ends[1]);
  Process process({.start_method = method_here()}, [] { throw std::runtime_error("to nobody"); });
  process.start();
  process.join();
  std::_Exit(process.exitcode() == 1 ? 0 : 1);  // had been ended by SIGPIPE
}

TEST_CASE("a missing or broken stdout or stderr does not change the exit code") {
  for (const char* name : {"program without stdout", "program whose stdout has no reader",
                           "program whose stderr has no reader"}) {
    for (const StartMethod method : all_methods) {
      CAPTURE(name);
      CAPTURE(static_cast<int>(method));
      ChildProgram program(name, {variable_of(method)});
      REQUIRE(program.ends_within(60s));
      CHECK(program.exit_code() == 0);
    }
  }
}

TEST_CASE("a process has no input, the working directory of its parent, and variables of its own") {
  const auto directory = std::filesystem::current_path();
  const support::TempDir dir;
  std::filesystem::current_path(dir.path());
  const mode_t mask = ::umask(077);
  ::setenv("TEST_REPLACED", "before", 1);
  for (const StartMethod method : all_methods) {
    CAPTURE(static_cast<int>(method));
    const SharedArray<int> seen(5);
    Process process(
        {.start_method = method, .env = {{"TEST_ADDED", "1"}, {"TEST_REPLACED", "after"}}},
        [](const SharedArray<int>& to, const std::string& place, int group) {
          char byte = 0;
          const char* const added = std::getenv("TEST_ADDED");
          const char* const replaced = std::getenv("TEST_REPLACED");
          to[0] = ::read(STDIN_FILENO, &byte, 1) == 0;
          to[1] = added != nullptr && replaced != nullptr && std::string(added) == "1" &&
                  std::string(replaced) == "after";
          to[2] = std::filesystem::current_path() == place && ::umask(0) == 077;
          to[3] = std::getenv("HOIST_PROCESS_CHANNEL") == nullptr;
          to[4] = ::getpgrp() == group;  // so that Ctrl-C reaches it
        },
        seen, std::filesystem::current_path().string(), static_cast<int>(::getpgrp()));
    process.start();
    process.join();
    CHECK(process.exitcode() == 0);
    for (std::size_t i = 0; i < seen.size(); ++i) {
      CAPTURE(i);
      CHECK(seen[i] == 1);
    }
  }
  CHECK(std::getenv("TEST_ADDED") == nullptr);
  CHECK(std::string(std::getenv("TEST_REPLACED")) == "before");
  ::unsetenv("TEST_REPLACED");
  ::umask(mask);
  std::filesystem::current_path(directory);
}

TEST_CASE("a child that closes all descriptors, and opens others, ends as any") {
  for (const StartMethod method : all_methods) {
    CAPTURE(static_cast<int>(method));
    Process process({.start_method = method}, [] {
      for (int fd = 3; fd < 1024; ++fd) ::close(fd);
      for (int i = 0; i < 20; ++i) static_cast<void>(!::dup(STDIN_FILENO));
      std::exit(8);
    });
    process.start();
    process.join();
    CHECK(process.exitcode() == 8);
  }
}
