# SPDX-License-Identifier: BSD-3-Clause
#
# Runs the grid search ALONE, on threads, and TOGETHER with others, each with a cache of its own in
# DIRECTORY, and compares the tables.

file(REMOVE_RECURSE ${DIRECTORY})
file(MAKE_DIRECTORY ${DIRECTORY})
foreach(way IN ITEMS ALONE TOGETHER)
  execute_process(COMMAND ${${way}} --csv --cache ${DIRECTORY}/${way} WORKING_DIRECTORY ${DIRECTORY}
                  TIMEOUT 120 RESULT_VARIABLE result OUTPUT_VARIABLE ${way}_printed)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "the grid search failed (${way}): ${result}")
  endif()
endforeach()
if(ALONE_printed STREQUAL "" OR NOT ALONE_printed STREQUAL TOGETHER_printed)
  message(FATAL_ERROR "the tables differ:\n${ALONE_printed}\n${TOGETHER_printed}")
endif()
file(REMOVE_RECURSE ${DIRECTORY})
