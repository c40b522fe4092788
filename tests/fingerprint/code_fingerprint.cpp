// SPDX-License-Identifier: BSD-3-Clause
//
// mutation/ tests that exactly the relevant edits are detected; this file tests everything else.
#include "fingerprint/code_fingerprint.hpp"

#include <doctest/doctest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "fingerprint/function_address.hpp"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "fingerprint/code_decode.hpp"
#include "fingerprint/handler_table.hpp"
#include "program/elf_image.hpp"
#include "program/symbol_names.hpp"
#include "program/unwind_tables.hpp"
#include "support/fingerprints.hpp"
#include "support/sanitized.hpp"

using hoist::CodeCheck;
using hoist::CodeNode;
using hoist::CodeReport;
using namespace hoist::detail;
using support::fingerprint_of;

namespace {

int opaque(int x) {
  asm volatile("" : "+r"(x));
  return x;
}

struct Animal {
  virtual ~Animal() = default;
  virtual int legs(int x) const { return x; }
};
struct Cat : Animal {
  int legs(int x) const override { return x + opaque(4); }
};

HOIST_TEST_NOINLINE int innermost(int x) { return opaque(x) * 3; }
HOIST_TEST_NOINLINE int inner(int x) { return innermost(x) + opaque(1); }
HOIST_TEST_NOINLINE int shouted(const char* text) { return std::puts(text); }

HOIST_TEST_NOINLINE int outer(int x) {
  Cat cat;
  const Animal* animal = &cat;
  asm volatile("" : "+r"(animal));
  return inner(x) + animal->legs(x) + shouted("a literal of the test");
}

HOIST_TEST_NOINLINE int twin_a(int x) { return inner(x) * 7 + opaque(2); }
HOIST_TEST_NOINLINE int twin_b(int x) { return inner(x) * 7 + opaque(2); }
HOIST_TEST_NOINLINE int other_twin(int x) { return inner(x) * 7 + opaque(3); }

struct Counter {
  int start = 0;
  HOIST_TEST_NOINLINE int add(int x) { return start += inner(x); }
  HOIST_TEST_NOINLINE int get(int x) const { return start + innermost(x); }
  static HOIST_TEST_NOINLINE int fixed(int x) { return inner(x) - 9; }
};

/// One of a thousand functions that reach each other.
template <int N>
struct Link {
  static HOIST_TEST_NOINLINE int call(int x) {
    if (opaque(x) == N) return x * (N + 3);
    int sum = Link<N - 1>::call(x + N);
    for (int i = 0; i < opaque(N); ++i) sum = sum * 31 + opaque(i ^ N);
    return sum + Link<N / 2>::call(x - N);
  }
};
template <>
struct Link<0> {
  static HOIST_TEST_NOINLINE int call(int x) { return x; }
};

const CodeNode* find(const CodeReport& report, CodeNode::Kind kind, const std::string& part) {
  const auto found =
      std::find_if(report.nodes.begin(), report.nodes.end(), [&](const CodeNode& node) {
        return node.kind == kind && node.name.find(part) != std::string::npos;
      });
  return found == report.nodes.end() ? nullptr : &*found;
}

}  // namespace

TEST_CASE("a fingerprint is exact and stays the same" * doctest::skip(!support::reads_code)) {
  const auto first = fingerprint_of(outer);
  CHECK(first.exact);
  CHECK(first.note == "");
  CHECK(first.digest != hoist::Digest{});
  CHECK(fingerprint_of(outer).digest == first.digest);
  CHECK(explain_code(code_address(outer), CodeCheck::callees).digest == first.digest);
}

TEST_CASE("equal code at different addresses has equal fingerprints" *
          doctest::skip(!support::reads_code)) {
  CHECK(fingerprint_of(twin_a).digest == fingerprint_of(twin_b).digest);
  CHECK(fingerprint_of(twin_a).digest != fingerprint_of(other_twin).digest);
}

// Sanitizers add calls and references of their own.
TEST_CASE("explain lists what is reached" *
          doctest::skip(support::sanitized || !support::reads_code)) {
  const CodeReport report = explain_code(code_address(outer), CodeCheck::callees);
  CHECK(report.exact);
  CHECK(find(report, CodeNode::Kind::function, "outer(int)") == &report.nodes.front());
  CHECK(find(report, CodeNode::Kind::function, "innermost(int)") != nullptr);
  CHECK(find(report, CodeNode::Kind::function, "Cat::legs(int) const") != nullptr);
  CHECK(find(report, CodeNode::Kind::vtable, "Cat") != nullptr);
  CHECK(find(report, CodeNode::Kind::constant, "a literal of the test") != nullptr);
  const CodeNode* puts = find(report, CodeNode::Kind::external, "puts");
  REQUIRE(puts != nullptr);
  CHECK(find(report, CodeNode::Kind::function, "twin_a") == nullptr);
  const std::string text = report.text();
  CHECK(text.find("innermost(int)") != std::string::npos);
  CHECK(text.find(report.digest.hex()) != std::string::npos);
}

TEST_CASE("how much is checked" * doctest::skip(support::sanitized || !support::reads_code)) {
  const CodeReport report = explain_code(code_address(outer), CodeCheck::function);
  CHECK(report.exact);
  CHECK(find(report, CodeNode::Kind::function, "outer(int)") != nullptr);
  CHECK(find(report, CodeNode::Kind::external, "inner(int)") != nullptr);
  CHECK(find(report, CodeNode::Kind::function, "innermost(int)") == nullptr);
  CHECK(find(report, CodeNode::Kind::constant, "a literal of the test") != nullptr);
  CHECK(report.digest == fingerprint_of(outer, CodeCheck::function).digest);
  CHECK(report.digest != fingerprint_of(outer).digest);
  CHECK(fingerprint_of(outer, CodeCheck::none).digest == hoist::Digest{});
  CHECK(fingerprint_of(outer, CodeCheck::none).exact);
}

TEST_CASE("functions of the run time count by name" * doctest::skip(!support::reads_code)) {
  const auto result = hoist::detail::fingerprint::fingerprint_code(
      reinterpret_cast<const void*>(&std::strtol), CodeCheck::callees);
  const auto same = explain_code(reinterpret_cast<const void*>(&std::strtol), CodeCheck::callees);
  CHECK(result.digest == same.digest);
  CHECK(result.digest != hoist::detail::fingerprint::fingerprint_code(
                             reinterpret_cast<const void*>(&std::strtoul), CodeCheck::callees)
                             .digest);
}

TEST_CASE("addresses that are no function's are answered too") {
  static const int data[4] = {1, 2, 3, 4};
  static int writable = 3;
  int local = 0;
  void* page = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  REQUIRE(page != MAP_FAILED);
  for (const void* address : {static_cast<const void*>(nullptr), static_cast<const void*>(data),
                              static_cast<const void*>(&writable), static_cast<const void*>(&local),
                              static_cast<const void*>(page)}) {
    const auto result = hoist::detail::fingerprint::fingerprint_code(address, CodeCheck::callees);
    CHECK(hoist::detail::fingerprint::fingerprint_code(address, CodeCheck::callees).digest ==
          result.digest);
    CHECK_FALSE(result.exact);
    CHECK(result.note != "");
  }
  ::munmap(page, 4096);
}

TEST_CASE("an address inside a function stands for the function") {
  const auto* address = static_cast<const char*>(code_address(outer));
  for (int i = 1; i < 16; ++i) {
    CHECK_NOTHROW(hoist::detail::fingerprint::fingerprint_code(address + i, CodeCheck::callees));
  }
}

TEST_CASE("addresses of member functions and function objects" *
          doctest::skip(!support::reads_code)) {
  const auto name = [](const void* address) {
    return explain_code(address, CodeCheck::function).nodes.front().name;
  };
  CHECK(name(code_address(&Counter::add)).find("Counter::add(int)") != std::string::npos);
  CHECK(name(code_address(&Counter::get)).find("Counter::get(int) const") != std::string::npos);
  CHECK(name(code_address(&Counter::fixed)).find("Counter::fixed(int)") != std::string::npos);
  const Cat cat;
  const Animal* animal = &cat;
  CHECK(code_address(&Animal::legs) == nullptr);
  CHECK(name(code_address(&Animal::legs, animal)).find("Cat::legs(int) const") !=
        std::string::npos);

  const auto generic = [](auto x) { return innermost(static_cast<int>(x)) * 2; };
  const auto plain = [](int x) { return inner(x) * 5; };
  const CodeReport report =
      explain_code(call_address<decltype(generic), int>(), CodeCheck::callees);
  CHECK(report.exact);
  CHECK(find(report, CodeNode::Kind::function, "innermost(int)") != nullptr);
  CHECK(hoist::detail::fingerprint::fingerprint_code(call_address<decltype(plain), int>(),
                                                     CodeCheck::callees)
            .digest != report.digest);
}

TEST_CASE("names") {
  CHECK(hoist::detail::program::base_name("_Z1fv.constprop.0") == "_Z1fv");
  CHECK(hoist::detail::program::base_name("counter.12") == "counter");
  CHECK(hoist::detail::program::base_name("_Z1fv") == "_Z1fv");
  CHECK(hoist::detail::program::is_split_part("_Z1fv.cold"));
  CHECK(hoist::detail::program::is_split_part("_Z1fv.part.3"));
  CHECK_FALSE(hoist::detail::program::is_split_part("_Z1fv.constprop.0"));
  CHECK(hoist::detail::program::demangled("_Z1fi.cold") == "f(int) [.cold]");
  CHECK(hoist::detail::program::demangled("main") == "main");

  CHECK(hoist::detail::program::is_hoist_entity("_ZN5hoist6Memory4evalEv"));
  CHECK(hoist::detail::program::is_hoist_entity("_ZNK5hoist6Memory4evalERKSt6vectorIiSaIiEE"));
  CHECK(hoist::detail::program::is_hoist_entity("_ZN5hoist6MemoryC1ERKSt6vectorIiSaIiEE"));
  CHECK(hoist::detail::program::is_hoist_entity("_ZN5hoist6MemoryD0Ev.cold"));
  CHECK(hoist::detail::program::is_hoist_entity("_ZTVN5hoist5StoreE"));
  CHECK(hoist::detail::program::is_hoist_entity("_ZZN5hoist4evalEiE3one"));
  CHECK(hoist::detail::program::is_hoist_entity("_ZZN5hoist4evalEiENKUlvE_clEv"));
  CHECK(hoist::detail::program::is_hoist_entity("_ZThn16_N5hoist5Store3putEv"));
  CHECK_FALSE(hoist::detail::program::is_hoist_entity("_ZN5hoist6Memory4evalIPFiiEEEvT_"));
  CHECK_FALSE(hoist::detail::program::is_hoist_entity("_ZN5hoist6CachedI4UserE4callEv"));
  CHECK_FALSE(hoist::detail::program::is_hoist_entity("_ZTVN5hoist6CachedI4UserEE"));
  CHECK_FALSE(hoist::detail::program::is_hoist_entity("_ZN10hoist_user3runEv"));
  CHECK_FALSE(hoist::detail::program::is_hoist_entity("_Z3runN5hoist6MemoryE"));
  CHECK_FALSE(hoist::detail::program::is_hoist_entity("main"));
}

TEST_CASE("many threads ask at once") {
  const auto expected = fingerprint_of(outer).digest;
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      for (int round = 0; round < 20; ++round) {
        if (fingerprint_of(outer).digest != expected) ++wrong;
        const auto check = (i + round) % 2 == 0 ? CodeCheck::callees : CodeCheck::function;
        explain_code(code_address(twin_a), check);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
}

TEST_CASE("a child forked while another thread computes can compute too") {
  std::atomic<bool> stop = false;
  std::thread busy([&] {
    while (!stop) explain_code(code_address(outer), CodeCheck::callees);
  });
  const auto expected = fingerprint_of(outer).digest;
  for (int i = 0; i < 10; ++i) {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      ::alarm(20);
      ::_exit(fingerprint_of(outer).digest == expected ? 0 : 1);
    }
    int status = 0;
    CHECK(::waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
  }
  stop = true;
  busy.join();
}

TEST_CASE("a function that reaches a thousand others" * doctest::skip(!support::reads_code)) {
  // Time of this thread, so that a busy machine doesn't count.
  const auto now = [] {
    timespec time{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_nsec) * 1e-6;
  };
  double begin = now();
  fingerprint_of(outer);
  MESSAGE("first function, with the symbol table: ", now() - begin, " ms");
  begin = now();
  const auto result = fingerprint_of(Link<1000>::call);
  const double time = now() - begin;
  CHECK(result.exact);
  MESSAGE("1000 functions: ", time, " ms");
  begin = now();
  CHECK(fingerprint_of(Link<1000>::call).digest == result.digest);
  CHECK(now() - begin < 1);
  const CodeReport report = explain_code(code_address(Link<1000>::call), CodeCheck::callees);
  CHECK(report.nodes.size() >= 1000);
}

TEST_CASE("damaged files give empty answers") {
  std::string content;
  {
    std::ifstream self("/proc/self/exe", std::ios::binary);
    content.assign(std::istreambuf_iterator<char>(self), {});
  }
  REQUIRE(content.size() > 1000);
  char path[] = "/tmp/hoist-elf-XXXXXX";
  const int file = ::mkstemp(path);
  REQUIRE(file >= 0);
  const auto write = [&](std::size_t at, const std::string& bytes) {
    REQUIRE(::pwrite(file, bytes.data(), bytes.size(), static_cast<off_t>(at)) ==
            static_cast<ssize_t>(bytes.size()));
  };
  const auto use = [&] {
    const auto image = hoist::detail::program::ElfImage::open(path);
    if (image == nullptr) return;
    image->find_dynamic("puts");
    image->relocations(0, ~std::uint64_t{0} >> 1);
    int functions = 0;
    for (const hoist::detail::program::ElfSection& section : image->sections()) {
      image->object_at(section.address);
      image->object_ending_at(section.end());
      image->tls_at(0);
      if (section.kind != hoist::detail::program::SectionKind::code) continue;
      for (const hoist::detail::program::ElfSymbol* symbol = image->function_after(section.address);
           symbol != nullptr && functions < 20;
           symbol = image->function_after(symbol->address), ++functions) {
        const hoist::detail::fingerprint::DecodedCode code =
            hoist::detail::fingerprint::decode_code(*image, symbol->address, symbol->end());
        const auto frame = hoist::detail::program::find_frame(*image, symbol->address);
        hoist::detail::base::DigestStream stream;
        if (frame && frame->handlers != 0)
          hoist::detail::fingerprint::put_handlers(*image, frame->handlers, code, stream);
      }
    }
  };

  write(0, content);
  use();
  std::mt19937 random(7);
  const auto at = [&](std::size_t begin, std::size_t size) { return begin + random() % size; };
  std::uint64_t headers = 0;
  std::memcpy(&headers, content.data() + 40, sizeof headers);  // e_shoff
  REQUIRE(headers < content.size());
  for (int round = 0; round < (support::sanitized ? 24 : 150); ++round) {
    // Bytes of the header, the section headers, the program headers, and anywhere else.
    const std::size_t places[] = {at(4, 60), at(headers, content.size() - headers), at(64, 700),
                                  at(0, content.size())};
    const std::size_t place = places[round % 4];
    const auto byte = static_cast<char>(random());
    write(place, std::string(1, byte));
    use();
    write(place, content.substr(place, 1));
  }
  for (int round = 0; round < 12; ++round) {
    REQUIRE(::ftruncate(file, static_cast<off_t>(random() % content.size())) == 0);
    use();
    write(0, content);
  }
  ::close(file);
  ::unlink(path);
}
