// SPDX-License-Identifier: BSD-3-Clause
//
// The entry point of every test executable.

#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <cstdio>
#include <cstdlib>

namespace {

// doctest reports success if the filters match nothing. Here that means that a test is missing (a
// file without a test case, a misspelt filter), so the run fails.
struct NoEmptyRuns : doctest::IReporter {
  explicit NoEmptyRuns(const doctest::ContextOptions& /*options*/) {}

  void test_run_end(const doctest::TestRunStats& stats) override {
    if (stats.numTestCasesPassingFilters == 0) {
      std::fputs("no test case matches the filters\n", stderr);
      std::_Exit(EXIT_FAILURE);
    }
  }

  void report_query(const doctest::QueryData& /*in*/) override {}
  void test_run_start() override {}
  void test_case_start(const doctest::TestCaseData& /*in*/) override {}
  void test_case_reenter(const doctest::TestCaseData& /*in*/) override {}
  void test_case_end(const doctest::CurrentTestCaseStats& /*in*/) override {}
  void test_case_exception(const doctest::TestCaseException& /*in*/) override {}
  void subcase_start(const doctest::SubcaseSignature& /*in*/) override {}
  void subcase_end() override {}
  void log_assert(const doctest::AssertData& /*in*/) override {}
  void log_message(const doctest::MessageData& /*in*/) override {}
  void test_case_skipped(const doctest::TestCaseData& /*in*/) override {}
};

}  // namespace

DOCTEST_REGISTER_LISTENER("no_empty_runs", 1, NoEmptyRuns);

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
// hoist starts threads in forked children, too: it leaves them no lock that another thread holds.
#if defined(HOIST_TEST_SYMBOLIZER)
extern "C" const char* __tsan_default_options() {
  return "die_after_fork=0:external_symbolizer_path=" HOIST_TEST_SYMBOLIZER;
}
#else
extern "C" const char* __tsan_default_options() { return "die_after_fork=0"; }
#endif
// What is not instrumented: references to an exception, which the C++ library counts, so that the
// last thread seems to free what another reads; and fences, by which Asio counts its executors'.
extern "C" const char* __tsan_default_suppressions() {
  return "race:std::__exception_ptr::exception_ptr::_M_release\n"
         "race:std::logic_error::~logic_error\n"
         "race:std::runtime_error::~runtime_error\n"
         "race:translateActiveException\n"
         "race:boost::asio::execution::detail\n";
}
#endif
#endif

int main(int argc, char** argv) { return doctest::Context(argc, argv).run(); }
