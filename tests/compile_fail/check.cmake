# SPDX-License-Identifier: BSD-3-Clause
#
# Compiles SOURCE with COMPILER and INCLUDE_DIRS. The file says in comments what must come of it:
#   // expect: some text      compilation must fail, and its output must contain the text (any number)
#   // expect-success         compilation must succeed (the control: the method itself works)
#   // flags: -Werror         more options for the compiler

file(STRINGS ${SOURCE} expected REGEX "^// expect: ")
file(STRINGS ${SOURCE} success REGEX "^// expect-success")
if(NOT expected AND NOT success)
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
