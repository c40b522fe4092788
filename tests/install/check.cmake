# SPDX-License-Identifier: BSD-3-Clause
#
# Builds the small program in user/ from an empty directory, in one of these ways (WAY):
#   find_package          this build, installed to a fresh prefix (which is then moved, since an
#                         installed package must not know where it stands)
#   subdirectory_static   add_subdirectory of the source tree; then that build, installed
#   subdirectory_shared   the same with BUILD_SHARED_LIBS=ON
# Whatever the present build is, static and shared are both proven in both ways.

function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE result)
  if(NOT result EQUAL 0)
    list(JOIN ARGN " " command)
    message(FATAL_ERROR "failed (${result}): ${command}")
  endif()
endfunction()

# Configures, builds and runs the user's programs in ${WORK_DIR}/${name}.
function(build_user name)
  set(dir ${WORK_DIR}/${name})
  file(COPY ${CMAKE_CURRENT_LIST_DIR}/user/ DESTINATION ${dir}/source)
  run(${CMAKE_COMMAND} -S ${dir}/source -B ${dir}/build -G ${GENERATOR}
      -D CMAKE_CXX_COMPILER=${COMPILER} -D CMAKE_BUILD_TYPE=Debug -D CMAKE_CXX_FLAGS_DEBUG=-O0
      ${ARGN})
  run(${CMAKE_COMMAND} --build ${dir}/build --parallel 2)
  set(programs user errors_usual errors_static_runtime host)
  if(EXISTS ${BINARY_DIR}/libhoist_redis.a OR EXISTS ${BINARY_DIR}/libhoist_redis.so)
    list(APPEND programs redis)
  endif()
  foreach(program IN LISTS programs)
    execute_process(COMMAND ${dir}/build/${program} WORKING_DIRECTORY ${dir} TIMEOUT 60
                    RESULT_VARIABLE result)
    if(NOT result EQUAL 0)
      message(FATAL_ERROR "the user's program ${program} failed: ${result}")
    endif()
  endforeach()
endfunction()

function(expect_library dir shared)
  file(GLOB_RECURSE static_library ${dir}/libhoist.a)
  file(GLOB_RECURSE shared_library ${dir}/libhoist.so)
  if(shared AND (static_library OR NOT shared_library))
    message(FATAL_ERROR "expected a shared library in ${dir}")
  elseif(NOT shared AND (shared_library OR NOT static_library))
    message(FATAL_ERROR "expected a static library in ${dir}")
  endif()
endfunction()

# Builds the program by what pkg-config says, and runs it.
function(build_by_pkg_config prefix)
  find_program(PKG_CONFIG pkg-config)
  file(GLOB_RECURSE file ${prefix}/hoist.pc)
  if(NOT PKG_CONFIG)
    return()
  endif()
  cmake_path(GET file PARENT_PATH dir)
  execute_process(
    COMMAND ${CMAKE_COMMAND} -E env PKG_CONFIG_PATH=${dir} ${PKG_CONFIG} --cflags --libs hoist
    OUTPUT_VARIABLE flags COMMAND_ERROR_IS_FATAL ANY)
  separate_arguments(flags UNIX_COMMAND "${flags}")
  cmake_path(GET dir PARENT_PATH libraries)
  run(${COMPILER} -std=c++20 ${CMAKE_CURRENT_LIST_DIR}/user/main.cpp ${flags} -Wl,-rpath,${libraries}
      -o ${WORK_DIR}/by_pkg_config)
  file(MAKE_DIRECTORY ${WORK_DIR}/run)
  execute_process(COMMAND ${WORK_DIR}/by_pkg_config WORKING_DIRECTORY ${WORK_DIR}/run TIMEOUT 60
                  COMMAND_ERROR_IS_FATAL ANY)
endfunction()

# What is installed with the tool: it runs from where it was moved to, its pages are beside it.
function(check_tool prefix)
  if(NOT EXISTS ${BINARY_DIR}/bin/hoist)
    return()
  endif()
  run(${prefix}/bin/hoist --version)
  foreach(page IN ITEMS man/man1/hoist.1.gz man/man1/hoist-cache-ls.1.gz man/man1/hoist-worker.1.gz
                        bash-completion/completions/hoist zsh/site-functions/_hoist
                        fish/vendor_completions.d/hoist.fish doc/hoist/guide/memory.md
                        doc/hoist/formats/container.md)
    if(NOT EXISTS ${prefix}/share/${page})
      message(FATAL_ERROR "${page} was not installed")
    endif()
  endforeach()
endfunction()

# Installs the build in ${build} and builds the user's program against that.
function(build_against_installed build shared)
  run(${CMAKE_COMMAND} --install ${build} --prefix ${WORK_DIR}/staged)
  file(RENAME ${WORK_DIR}/staged ${WORK_DIR}/prefix)
  expect_library(${WORK_DIR}/prefix ${shared})
  build_user(installed -D CMAKE_PREFIX_PATH=${WORK_DIR}/prefix)
  file(STRINGS ${WORK_DIR}/installed/build/CMakeCache.txt found REGEX "^hoist_DIR:.*=")
  string(FIND "${found}" "=${WORK_DIR}/prefix/" position)
  if(position EQUAL -1)
    message(FATAL_ERROR "another hoist was found: ${found}")
  endif()
  build_by_pkg_config(${WORK_DIR}/prefix)
endfunction()

file(REMOVE_RECURSE ${WORK_DIR})
if(WAY STREQUAL "find_package")
  build_against_installed(${BINARY_DIR} ${SHARED})
  check_tool(${WORK_DIR}/prefix)
else()
  set(shared OFF)
  if(WAY STREQUAL "subdirectory_shared")
    set(shared ON)
  endif()
  build_user(subdirectory -D HOIST_SUBDIRECTORY=${SOURCE_DIR} -D BUILD_SHARED_LIBS=${shared}
             -D HOIST_INSTALL=ON)
  expect_library(${WORK_DIR}/subdirectory/build ${shared})
  build_against_installed(${WORK_DIR}/subdirectory/build ${shared})
endif()
file(REMOVE_RECURSE ${WORK_DIR})
