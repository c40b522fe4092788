# SPDX-License-Identifier: BSD-3-Clause
#
# hoist_doc_samples(<document>): compiles the C++ blocks of a Markdown document (a path relative to the
# project) and registers the test doc_samples.<document>, which runs them. doc_samples.awk says how a
# document is written.

find_program(HOIST_AWK awk REQUIRED)
mark_as_advanced(HOIST_AWK)

function(hoist_doc_samples document)
  string(REGEX REPLACE "\\.md$" "" name ${document})
  string(MAKE_C_IDENTIFIER ${name} name)
  set(dir ${CMAKE_CURRENT_BINARY_DIR}/doc_samples/${name})
  set(script ${PROJECT_SOURCE_DIR}/tools/cmake/doc_samples.awk)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${document}
                                         ${script})
  file(REMOVE_RECURSE ${dir}/new)
  file(MAKE_DIRECTORY ${dir}/new)
  execute_process(
    COMMAND ${HOIST_AWK} -v name=${document} -v out=${dir}/new -f ${script}
            ${PROJECT_SOURCE_DIR}/${document}
    OUTPUT_VARIABLE programs
    RESULT_VARIABLE result)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "cannot extract the samples of ${document}")
  endif()
  string(REGEX MATCHALL "[^\n]+" programs "${programs}")
  if(NOT programs)
    return()
  endif()

  set(run "")
  foreach(program IN LISTS programs)
    file(COPY_FILE ${dir}/new/${program} ${dir}/${program} ONLY_IF_DIFFERENT)
    cmake_path(GET program STEM stem)
    set(target doc_${name}_${stem})
    add_executable(${target} ${dir}/${program})
    target_link_libraries(${target} PRIVATE hoist::hoist Boost::headers)
    if(document MATCHES "guide/redis")
      target_link_libraries(${target} PRIVATE hoist::redis)
    endif()
    if(document MATCHES "guide/cluster")
      target_link_libraries(${target} PRIVATE hoist::slurm)
    endif()
    if(TARGET Eigen3::Eigen)
      target_link_libraries(${target} PRIVATE Eigen3::Eigen)
    endif()
    hoist_developer_target(${target})
    # Samples name things to show them, and never use them again.
    target_compile_options(
      ${target} PRIVATE -Wno-unused-variable -Wno-unused-but-set-variable -Wno-unused-function
                        -Wno-unused-parameter -Wno-shadow)
    if(program STREQUAL "samples.cpp")
      list(PREPEND run $<TARGET_FILE:${target}>)
    else()
      list(APPEND run $<TARGET_FILE:${target}>)
    endif()
  endforeach()
  list(JOIN run "$<SEMICOLON>" run)
  add_test(NAME doc_samples.${name}
           COMMAND ${CMAKE_COMMAND} -D DIRECTORY=${CMAKE_CURRENT_BINARY_DIR}/run/doc_${name}
                   "-DPROGRAMS=${run}" -P ${PROJECT_SOURCE_DIR}/tests/run_fresh.cmake)
  set_tests_properties(doc_samples.${name} PROPERTIES TIMEOUT 300)
endfunction()
