# The target `mts_onnx_proto`: ONNX's C++ library (schemas, checker, parser, printer, shape inference, version
# converter) and protobuf.
#
# An installed ONNX >= 1.17 is taken as it is. Otherwise the pinned sdist is built once, statically, into the cache.
# That build always is Release -O2 and does not depend on this project's preset, so every checkout and preset of one
# compiler shares it.

include(DepsCache)

set(mts_onnx_version 1.23.2)
set(mts_onnx_sha256 008cb0467b2bbee41448acc7da8b6f4e704624cb0d327a2d5adafc7ce19bc5b8)
set(mts_onnx_recipe 1)  # raise it when the options of the build below change
set(mts_onnx_standard 20)
option(MTS_ONNX_UNITY "Build ONNX from few large translation units (faster, more memory)" ON)
set(MTS_ONNX_CXX_FLAGS "" CACHE STRING "More compiler flags for the bootstrapped ONNX, e.g. for fuzzing")
mark_as_advanced(MTS_ONNX_UNITY MTS_ONNX_CXX_FLAGS)

function(mts_bootstrap_onnx out_prefix)
  string(MD5 key "${CMAKE_CXX_COMPILER_ID}-${CMAKE_CXX_COMPILER_VERSION}-${CMAKE_SYSTEM_PROCESSOR}-\
${Protobuf_VERSION}-std${mts_onnx_standard}-unity${MTS_ONNX_UNITY}-${MTS_ONNX_CXX_FLAGS}-${mts_onnx_recipe}")
  string(SUBSTRING "${key}" 0 10 key)
  set(prefix "${MTS_DEPS_CACHE}/onnx-${mts_onnx_version}-${key}")
  set(${out_prefix} "${prefix}" PARENT_SCOPE)
  if(EXISTS "${prefix}/.done")
    return()
  endif()

  mts_lock_deps_cache()
  if(NOT EXISTS "${prefix}/.done")
    mts_find_pip()
    mts_find_newer_cmake(onnx_cmake 3.26)
    set(archive "onnx-${mts_onnx_version}.tar.gz")
    mts_pip_download(onnx ${mts_onnx_version} ${mts_onnx_sha256} "${archive}" SDIST)
    set(work "${CMAKE_BINARY_DIR}/_onnx")
    file(REMOVE_RECURSE "${work}" "${prefix}")
    file(ARCHIVE_EXTRACT INPUT "${MTS_DEPS_CACHE}/${archive}" DESTINATION "${work}")
    message(STATUS "Building ONNX ${mts_onnx_version} once into ${prefix} (about 2 minutes on 2 cores)")
    execute_process(
      COMMAND "${onnx_cmake}" -S "${work}/onnx-${mts_onnx_version}" -B "${work}/build" -G "${CMAKE_GENERATOR}"
              -DCMAKE_MAKE_PROGRAM=${CMAKE_MAKE_PROGRAM}
              -DCMAKE_BUILD_TYPE=Release
              -DCMAKE_CXX_COMPILER=${CMAKE_CXX_COMPILER}
              -DCMAKE_CXX_STANDARD=${mts_onnx_standard}
              "-DCMAKE_CXX_FLAGS=${MTS_ONNX_CXX_FLAGS}"
              "-DCMAKE_CXX_FLAGS_RELEASE=-O2 -DNDEBUG"
              -DCMAKE_POSITION_INDEPENDENT_CODE=ON
              -DCMAKE_INSTALL_LIBDIR=lib
              -DCMAKE_INSTALL_PREFIX=${prefix}
              -DBUILD_SHARED_LIBS=OFF
              -DONNX_USE_UNITY_BUILD=${MTS_ONNX_UNITY}
              -DONNX_USE_PROTOBUF_SHARED_LIBS=OFF
              -DPython3_EXECUTABLE=${Python3_EXECUTABLE}
      OUTPUT_FILE "${CMAKE_BINARY_DIR}/onnx-configure.log"
      ERROR_FILE "${CMAKE_BINARY_DIR}/onnx-configure.log"
      RESULT_VARIABLE result)
    if(NOT result EQUAL 0)
      message(FATAL_ERROR "ONNX does not configure; see ${CMAKE_BINARY_DIR}/onnx-configure.log")
    endif()
    cmake_host_system_information(RESULT cores QUERY NUMBER_OF_LOGICAL_CORES)
    if(DEFINED ENV{CMAKE_BUILD_PARALLEL_LEVEL})
      set(cores "$ENV{CMAKE_BUILD_PARALLEL_LEVEL}")
    endif()
    # Its output stays visible: this is the longest step of a first build.
    execute_process(COMMAND "${onnx_cmake}" --build "${work}/build" --target install -j ${cores}
                    COMMAND_ERROR_IS_FATAL ANY)
    file(TOUCH "${prefix}/.done")
    file(REMOVE_RECURSE "${work}")
  endif()
  mts_unlock_deps_cache()
endfunction()

add_library(mts_onnx_proto INTERFACE)
find_package(ONNX 1.17 CONFIG QUIET)
if(ONNX_FOUND)
  message(STATUS "ONNX ${ONNX_VERSION}: ${ONNX_DIR}")
else()
  set(Protobuf_USE_STATIC_LIBS ON)
  find_package(Protobuf MODULE REQUIRED)
  mts_bootstrap_onnx(mts_onnx_prefix)
  message(STATUS "ONNX ${mts_onnx_version}: ${mts_onnx_prefix}")
  # Its ONNXConfig.cmake wants protobuf's CONFIG package, which Debian does not have.
  include("${mts_onnx_prefix}/lib/cmake/ONNX/ONNXTargets.cmake")
endif()
target_link_libraries(mts_onnx_proto INTERFACE ONNX::onnx)
