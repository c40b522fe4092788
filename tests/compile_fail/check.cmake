# SPDX-License-Identifier: BSD-3-Clause
#
# Compiles SOURCE with COMPILER and INCLUDE_DIRS. The file says in comments what must come of it:
#   // expect: some text      compilation must fail, and its output must contain the text (any number)
#   // first: some text       likewise, but the first error must contain the text, and the whole output
#                            must be short: 15 lines, of g++ 14, which quotes each place, 18
#   // expect-success         compilation must succeed (the control: the method itself works)
#   // flags: -Werror         more options for the compiler

file(STRINGS ${SOURCE} expected REGEX "^// expect: ")
file(STRINGS ${SOURCE} success REGEX "^// expect-success")
file(STRINGS ${SOURCE} first REGEX "^// first: ")
if(NOT expected AND NOT first AND NOT success)
  message(FATAL_ERROR "${SOURCE} says neither '// expect: text' nor '// expect-success'")
endif()

list(REMOVE_DUPLICATES INCLUDE_DIRS)
file(STRINGS ${SOURCE} flags REGEX "^// flags: ")
string(REGEX REPLACE "^// flags: *" "" flags "${flags}")
separate_arguments(flags)
foreach(dir IN LISTS INCLUDE_DIRS)
  if(dir AND NOT dir STREQUAL "/usr/include")
    list(APPEND flags "-I${dir}")
  endif()
endforeach()
execute_process(
  COMMAND ${COMPILER} -std=c++20 -fsyntax-only ${flags} ${SOURCE}
  RESULT_VARIABLE result
  OUTPUT_VARIABLE output
  ERROR_VARIABLE output)

if(success)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "must compile, but did not:\n${output}")
  endif()
  return()
endif()
if(result EQUAL 0)
  message(FATAL_ERROR "must not compile, but did")
endif()
foreach(line IN LISTS expected)
  string(REGEX REPLACE "^// expect: *" "" text "${line}")
  string(FIND "${output}" "${text}" position)
  if(position EQUAL -1)
    message(FATAL_ERROR "the compiler's output does not contain '${text}':\n${output}")
  endif()
endforeach()
if(first)
  string(REGEX REPLACE "^// first: *" "" text "${first}")
  string(REGEX MATCH "error: [^\n]*" error "${output}")
  string(FIND "${error}" "${text}" position)
  if(position EQUAL -1)
    message(FATAL_ERROR "the compiler's first error does not contain '${text}':\n${output}")
  endif()
  string(REGEX MATCHALL "\n" lines "${output}")
  list(LENGTH lines count)
  set(limit 15)
  if(NOT COMPILER MATCHES "clang")
    set(limit 18)
  endif()
  if(count GREATER limit)
    message(FATAL_ERROR "the compiler's output has ${count} lines:\n${output}")
  endif()
endif()
