# Installs, moves the install tree, builds consumer/ against it and runs that and the installed program.
# In: MTS_BUILD_DIR, WORK_DIR (emptied first), CXX, SANITIZE, CONFIG. Any failure ends with a message.

cmake_minimum_required(VERSION 3.25)

function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT result EQUAL 0)
    list(JOIN ARGN " " command)
    message(FATAL_ERROR "${command}\nended with ${result}:\n${output}")
  endif()
  set(output "${output}" PARENT_SCOPE)
endfunction()

file(REMOVE_RECURSE "${WORK_DIR}")
run("${CMAKE_COMMAND}" --install "${MTS_BUILD_DIR}" --config ${CONFIG} --prefix "${WORK_DIR}/installed")
file(RENAME "${WORK_DIR}/installed" "${WORK_DIR}/moved")

# Nothing in the package may point back to where it was built.
file(GLOB_RECURSE package_files "${WORK_DIR}/moved/*.cmake")
foreach(path IN LISTS package_files)
  file(READ "${path}" text)
  foreach(origin IN ITEMS "${MTS_BUILD_DIR}" "${WORK_DIR}/installed" "mts-deps")
    string(FIND "${text}" "${origin}" at)
    if(NOT at EQUAL -1)
      message(FATAL_ERROR "${path} names ${origin}")
    endif()
  endforeach()
endforeach()

set(flags "")
if(SANITIZE)
  set(flags "-fsanitize=${SANITIZE}")
endif()
run("${CMAKE_COMMAND}" -S "${CMAKE_CURRENT_LIST_DIR}/consumer" -B "${WORK_DIR}/build" -G Ninja
    "-DCMAKE_CXX_COMPILER=${CXX}" "-DCMAKE_CXX_FLAGS=${flags}" "-DCMAKE_PREFIX_PATH=${WORK_DIR}/moved")
run("${CMAKE_COMMAND}" --build "${WORK_DIR}/build")
run("${WORK_DIR}/build/consumer" models/digits_heads/digit.onnx)
message(STATUS "consumer: ${output}")
run("${WORK_DIR}/moved/bin/mts" --version)
message(STATUS "mts: ${output}")

# The plugin, where one was built, is found from the installed program: what stops it is the machine, not its place.
if(EXISTS "${WORK_DIR}/moved/lib/mts/libmts_cuda.so")
  execute_process(COMMAND "${WORK_DIR}/moved/bin/mts" run models/digits_heads/digit.onnx --random --quiet --device cuda
                  RESULT_VARIABLE result OUTPUT_QUIET ERROR_VARIABLE output)
  if(NOT result EQUAL 0 AND NOT (result EQUAL 5 AND output MATCHES "no NVIDIA"))
    message(FATAL_ERROR "the installed program and its plugin: ${result}: ${output}")
  endif()
  message(STATUS "plugin: ${output}")
endif()
