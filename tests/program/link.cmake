# SPDX-License-Identifier: BSD-3-Clause
#
# Links programs by hand with the static LIBRARY, from an empty WORK_DIR.

file(REMOVE_RECURSE ${WORK_DIR})
file(MAKE_DIRECTORY ${WORK_DIR})
list(TRANSFORM INCLUDE_DIRS PREPEND -I)

function(run command)
  execute_process(COMMAND ${ARGV} WORKING_DIRECTORY ${WORK_DIR} TIMEOUT 100 RESULT_VARIABLE result)
  if(NOT result EQUAL 0)
    list(JOIN ARGV " " command)
    message(FATAL_ERROR "failed (${result}): ${command}")
  endif()
endfunction()

function(compile name source)
  file(WRITE ${WORK_DIR}/${name}.cpp "${source}")
  run(${COMPILER} -std=c++20 -O0 ${INCLUDE_DIRS} -c ${name}.cpp -o ${name}.o)
endfunction()

# Links ${name}.o with the options that follow, and runs the program.
function(link name)
  run(${COMPILER} -s ${name}.o -o ${name} ${LIBRARY} ${ARGN})
  run(${WORK_DIR}/${name})
endfunction()

# The functions that hoist puts before those of the C and C++ run time brought the whole library.
compile(unused "#include <hoist/hoist.hpp>\nint main() {}\n")
link(unused)
file(SIZE ${WORK_DIR}/unused size)
message(STATUS "A program that uses nothing of hoist has ${size} bytes.")
if(size GREATER 40000)
  message(FATAL_ERROR "a program that uses nothing of hoist has ${size} bytes")
endif()

# With the C library linked in statically, __libc_start_main was defined twice.
execute_process(COMMAND ${COMPILER} -print-file-name=libc.a OUTPUT_VARIABLE libc
                OUTPUT_STRIP_TRAILING_WHITESPACE)
if(NOT IS_ABSOLUTE "${libc}")
  message(STATUS "Skipped: static programs, as there is no static C library here.")
  return()
endif()
link(unused -static)
compile(throwing "int main() { try { throw 1; } catch (int) { return 0; } }\n")
link(throwing -static)
set(missing "")
foreach(dependency IN LISTS DEPENDENCIES)
  execute_process(COMMAND ${COMPILER} -print-file-name=lib${dependency}.a OUTPUT_VARIABLE file
                  OUTPUT_STRIP_TRAILING_WHITESPACE)
  if(NOT IS_ABSOLUTE "${file}")
    list(APPEND missing ${dependency})
  endif()
endforeach()
if(missing)
  message(STATUS "Skipped: a static program with a loop, as these have no static form: ${missing}")
else()
  list(TRANSFORM DEPENDENCIES PREPEND -l)
  compile(looping "#include <hoist/hoist.hpp>
#include <vector>
int square(int x) { return x * x; }
int main(int argc, char** argv) {
  hoist::worker_main(argc, argv);
  const auto squares =
      hoist::Parallel({.n_jobs = 2, .backend = \"spawn\"}).map(std::vector{1, 2, 3}, square);
  return squares[2] == 9 ? 0 : 1;
}\n")
  link(looping -static ${DEPENDENCIES})
endif()
file(REMOVE_RECURSE ${WORK_DIR})
