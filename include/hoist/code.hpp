// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/requirements.hpp>

#include <hoist/detail/callable.hpp>
#include <hoist/digest.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace hoist {

/// How much of the program has to be unchanged for a cached result to be valid.
///
/// The check is made on machine code, so comments, names of variables and formatting never matter;
/// other compilers, optimisation levels or flags generally do. What lies where doesn't matter:
/// adding, removing or reordering code that the function doesn't reach changes nothing.
enum class CodeCheck : std::uint8_t {
  /// The function and everything it reaches: what it calls, directly, through virtual functions or
  /// through function pointers in constants, in the program and its own shared objects; constants,
  /// tables, string literals and initial values of variables. The C and C++ run time counts by
  /// name, other libraries in system directories by name and build-id. What variables hold when a
  /// cached function is called counts, too, if the code reads them, nothing it reaches writes them,
  /// and their address isn't passed to where this can't be seen.
  callees,
  /// The function itself with its constants; what it calls counts by name.
  function,
  /// Nothing: only the function's name identifies it.
  none,
};

/// One thing that a fingerprint covers.
struct CodeNode {
  enum class Kind : std::uint8_t {
    function,  ///< machine code
    vtable,    ///< table of virtual functions
    constant,  ///< read-only data; a string literal is named by its text
    variable,  ///< writable data: counts by name, size and initial value, see also `remark`
    external,  ///< counts by name (and build-id, see CodeCheck::callees)
    module,    ///< a whole executable or shared object that can't be looked into
  };

  Kind kind = Kind::function;  ///< what it is
  std::string name;            ///< as in the source, where known
  std::string module;          ///< file name of the executable or shared object
  std::uint64_t size = 0;      ///< bytes
  /// Of the node alone, without what it refers to: comparing the nodes of two reports shows what
  /// was edited.
  Digest digest;
  /// Of a variable: whether what it holds at the time of a call is part of that call's key. Of a
  /// function: that it calls others through pointers, which can't be followed.
  std::string remark;
};

/// What was walked for a function's fingerprint, in order of first mention.
struct CodeReport {
  Digest digest;
  /// False if the function couldn't be looked into and its module's build-id stands for it.
  bool exact = true;
  /// Why not, or what else is worth knowing; mostly empty.
  std::string note;
  std::vector<CodeNode> nodes;

  /// One line per node, for people.
  std::string text() const;
};

namespace detail {
CodeReport explain_code(const void* function, CodeCheck check);
}

/// What the fingerprint of a function's code covers: `explain(train).text()`. Takes what
/// `Memory::cache` takes. Thread-safe; not cached, about 1 us per function reached.
template <class F>
  requires detail::HasSignature<F>
[[nodiscard]] CodeReport explain(F f, CodeCheck check = CodeCheck::callees) {
  return detail::explain_code(detail::code_of(f), check);
}

}  // namespace hoist
