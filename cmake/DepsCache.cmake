# A cache outside of the build tree for dependencies that the distribution does not offer, shared by all checkouts
# and presets of a user. Everything in it comes from PyPI by name, with pinned hashes.

set(MTS_DEPS_CACHE "$ENV{MTS_DEPS_CACHE}" CACHE PATH "Where bootstrapped dependencies are kept")
if(NOT MTS_DEPS_CACHE)
  if(DEFINED ENV{XDG_CACHE_HOME})
    set(MTS_DEPS_CACHE "$ENV{XDG_CACHE_HOME}/mts-deps" CACHE PATH "" FORCE)
  else()
    set(MTS_DEPS_CACHE "$ENV{HOME}/.cache/mts-deps" CACHE PATH "" FORCE)
  endif()
endif()

# Only one process at a time fills the cache; the others wait, then find it full.
macro(mts_lock_deps_cache)
  file(MAKE_DIRECTORY "${MTS_DEPS_CACHE}")
  file(LOCK "${MTS_DEPS_CACHE}/lock" TIMEOUT 0 RESULT_VARIABLE mts_lock_result)
  if(NOT mts_lock_result EQUAL 0)
    message(STATUS "Waiting for another process that fills ${MTS_DEPS_CACHE}")
    file(LOCK "${MTS_DEPS_CACHE}/lock" TIMEOUT 3600)
  endif()
endmacro()

macro(mts_unlock_deps_cache)
  file(LOCK "${MTS_DEPS_CACHE}/lock" RELEASE)
endmacro()

macro(mts_find_pip)
  find_package(Python3 REQUIRED COMPONENTS Interpreter)
  execute_process(COMMAND "${Python3_EXECUTABLE}" -m pip --version RESULT_VARIABLE mts_pip_result
                  OUTPUT_QUIET ERROR_QUIET)
  if(NOT mts_pip_result EQUAL 0)
    message(FATAL_ERROR "${Python3_EXECUTABLE} has no pip, which fetches dependencies; install python3-pip")
  endif()
endmacro()

# mts_pip_download(<name> <version> <sha256> <file> [SDIST] [TAGS option...]): puts <file> into the cache unless it is
# there already. TAGS: pip's options that choose a wheel of another Python than the one at hand.
function(mts_pip_download name version sha256 file)
  cmake_parse_arguments(ARG "SDIST" "" "TAGS" ${ARGN})
  set(path "${MTS_DEPS_CACHE}/${file}")
  if(EXISTS "${path}")
    file(SHA256 "${path}" actual)
    if(actual STREQUAL sha256)
      return()
    endif()
    file(REMOVE "${path}")
  endif()
  mts_find_pip()
  message(STATUS "Downloading ${name} ${version} from PyPI")
  set(requirements "${CMAKE_BINARY_DIR}/requirements-${name}.txt")
  file(WRITE "${requirements}" "${name}==${version} --hash=sha256:${sha256}\n")
  if(ARG_SDIST)
    set(kind --no-binary "${name}" --no-build-isolation)
  else()
    set(kind --only-binary "${name}" ${ARG_TAGS})
  endif()
  execute_process(
    COMMAND "${CMAKE_COMMAND}" -E env "PYTHONPATH=${CMAKE_CURRENT_FUNCTION_LIST_DIR}/pip_sdist_shim"
            "MTS_SDIST_NAME=${name}" "MTS_SDIST_VERSION=${version}"
            "${Python3_EXECUTABLE}" -m pip download -q --disable-pip-version-check --no-deps --require-hashes
            -r "${requirements}" ${kind} -d "${MTS_DEPS_CACHE}"
    RESULT_VARIABLE result)
  if(NOT result EQUAL 0 OR NOT EXISTS "${path}")
    message(FATAL_ERROR "pip could not download ${name} ${version} into ${MTS_DEPS_CACHE}")
  endif()
endfunction()

# Sets <out> to a CMake of at least <minimum>: the running one, else one installed by pip into the cache.
function(mts_find_newer_cmake out minimum)
  if(CMAKE_VERSION VERSION_GREATER_EQUAL minimum)
    set(${out} "${CMAKE_COMMAND}" PARENT_SCOPE)
    return()
  endif()
  set(version 4.1.3)
  set(prefix "${MTS_DEPS_CACHE}/cmake-${version}")
  set(program "${prefix}/cmake/data/bin/cmake")
  if(NOT EXISTS "${prefix}/.done")
    mts_find_pip()
    message(STATUS "Installing CMake ${version} into ${prefix} (this is ${CMAKE_VERSION}, ONNX needs ${minimum})")
    file(REMOVE_RECURSE "${prefix}")
    set(requirements "${CMAKE_BINARY_DIR}/requirements-cmake.txt")
    file(WRITE "${requirements}" "cmake==${version} "
         "--hash=sha256:81f11b72bc59cbe547d9f283487ef0519bf68176edffcdfa1a4dc5a52f292369\n")
    execute_process(
      COMMAND "${Python3_EXECUTABLE}" -m pip install -q --disable-pip-version-check --no-deps --require-hashes
              --only-binary cmake --target "${prefix}" -r "${requirements}"
      COMMAND_ERROR_IS_FATAL ANY)
    file(TOUCH "${prefix}/.done")
  endif()
  set(${out} "${program}" PARENT_SCOPE)
endfunction()
