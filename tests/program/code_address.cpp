// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/detail/code_address.hpp>
#include <hoist/error.hpp>

#include <dlfcn.h>
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <thread>

#include "program/module_map.hpp"
#include "program/place_of.hpp"

using namespace hoist::detail;

namespace {

const std::string library = HOIST_BIN_DIR "/calls_on_load.so";

const char constant[] = "a constant of this program";
int variable = 1;

const void* some_code() { return reinterpret_cast<const void*>(&some_code); }

/// What calls_on_load.so calls while dlopen initialises it.
void (*on_load)() = nullptr;

extern "C" void hoist_test_on_load() { on_load(); }

void announce_on_load() {
  const auto address = reinterpret_cast<std::uintptr_t>(&hoist_test_on_load);
  ::setenv("HOIST_TEST_ON_LOAD", std::to_string(address).c_str(), 1);
}

/// Runs `body` in a child process, whose modules and peers are of no concern to other tests. False
/// also for a child that hangs.
template <class Body>
bool holds_in_child(Body body) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::alarm(20);
    ::_exit(body() ? 0 : 1);
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace

TEST_CASE("an address is found again by module and offset") {
  const void* const code = some_code();
  const CodeAddress where = code_address_of(code);
  CHECK(where.module == 0);
  CHECK(resolve_code(where) == code);
  CHECK(module_name(0).path.empty());
}

TEST_CASE("constants and variables of a program are told apart") {
  CodeAddress where;
  const auto place = [&](const void* at) {
    return program::place_of(reinterpret_cast<std::uintptr_t>(at), where);
  };
  CHECK(place(some_code()) == program::Place::constant);
  CHECK(place(constant) == program::Place::constant);
  CHECK(resolve_code(where) == constant);
  CHECK(place(&variable) == program::Place::variable);
  CHECK(place(&where) == program::Place::elsewhere);
  CHECK(place(nullptr) == program::Place::elsewhere);
}

// One mutex was held while a peer's library was loaded, and taken again by what the library's
// initialiser sent.
TEST_CASE("an initialiser that runs inside dlopen can ask for addresses") {
  CHECK(holds_in_child([] {
    static bool found = false;
    on_load = [] { found = code_address_of(some_code()).module == 0; };
    announce_on_load();
    add_peer_module({library, {}});
    return found && peer_module_count() == 1;
  }));
}

TEST_CASE("a thread can ask for addresses while another one is inside dlopen") {
  CHECK(holds_in_child([] {
    static std::atomic<bool> done{false};
    on_load = [] {
      std::thread other([] { done = code_address_of(some_code()).module == 0; });
      other.join();
    };
    announce_on_load();
    return ::dlopen(library.c_str(), RTLD_NOW) != nullptr && done;
  }));
}

TEST_CASE("a library is known after it was loaded, and unknown after it was unloaded") {
  CHECK(holds_in_child([] {
    on_load = [] {};
    announce_on_load();
    const auto before = program::loaded_modules();
    void* const handle = ::dlopen(library.c_str(), RTLD_NOW);
    const void* const code = ::dlsym(handle, "hoist_test_was_loaded");
    const auto loaded = program::loaded_modules();
    const program::Location found = loaded->locate(code);
    if (code == nullptr || before->locate(code).module != nullptr) return false;
    if (found.module == nullptr || found.module->path != library) return false;
    const CodeAddress where = code_address_of(code);
    if (resolve_code(where) != code || loaded != program::loaded_modules()) return false;
    ::dlclose(handle);
    if (program::loaded_modules()->locate(code).module != nullptr) return false;
    try {
      resolve_code(where);
      return false;
    } catch (const hoist::CannotTravel&) {
    }
    // Loaded again, wherever it is now, it has the number that it had.
    void* const again = ::dlopen(library.c_str(), RTLD_NOW);
    const void* const code_again = ::dlsym(again, "hoist_test_was_loaded");
    return code_address_of(code_again).module == where.module && resolve_code(where) == code_again;
  }));
}

TEST_CASE("a forked child can ask for addresses whatever locks other threads held") {
  std::atomic<bool> stop{false};
  std::thread other([&] {
    while (!stop) {
      code_address_of(some_code());
      const auto lock = program::lock_images();
    }
  });
  bool all = true;
  for (int i = 0; i < 50 && all; ++i) {
    all = holds_in_child([] {
      const auto lock = program::lock_images();
      CodeAddress where;
      return program::place_of(reinterpret_cast<std::uintptr_t>(constant), where) ==
             program::Place::constant;
    });
  }
  stop = true;
  other.join();
  CHECK(all);
}
