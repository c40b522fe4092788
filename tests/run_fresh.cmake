# SPDX-License-Identifier: BSD-3-Clause
#
# Runs PROGRAMS (a list) one after the other in DIRECTORY, which is emptied first. Fails if one fails.

file(REMOVE_RECURSE ${DIRECTORY})
file(MAKE_DIRECTORY ${DIRECTORY})
foreach(program IN LISTS PROGRAMS)
  execute_process(COMMAND ${program} WORKING_DIRECTORY ${DIRECTORY} RESULT_VARIABLE result)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "${program} failed: ${result}")
  endif()
endforeach()
file(REMOVE_RECURSE ${DIRECTORY})
