# SPDX-License-Identifier: BSD-3-Clause
#
# Runs PROGRAMS (a list) one after the other in DIRECTORY, which is emptied first. Fails if one fails, or
# prints anything else than what is in the file OUTPUT, where that is given.

file(REMOVE_RECURSE ${DIRECTORY})
file(MAKE_DIRECTORY ${DIRECTORY})
foreach(program IN LISTS PROGRAMS)
  execute_process(COMMAND ${program} WORKING_DIRECTORY ${DIRECTORY} RESULT_VARIABLE result
                  OUTPUT_VARIABLE printed ECHO_OUTPUT_VARIABLE)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "${program} failed: ${result}")
  endif()
  if(OUTPUT)
    file(READ ${OUTPUT} expected)
    if(NOT printed STREQUAL expected)
      message(FATAL_ERROR "${program} did not print what is in ${OUTPUT}")
    endif()
  endif()
endforeach()
file(REMOVE_RECURSE ${DIRECTORY})
