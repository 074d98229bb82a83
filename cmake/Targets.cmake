# What a folder's CMakeLists.txt uses: mts_add_library, mts_add_test.

set(mts_warnings -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wnon-virtual-dtor -Woverloaded-virtual)
if(MTS_WERROR)
  list(APPEND mts_warnings -Werror)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # False alarms of g++ 12 and 13 in the standard library's own inlined code.
  list(APPEND mts_warnings -Wno-restrict -Wno-maybe-uninitialized -Wno-array-bounds -Wno-stringop-overflow
       -Wno-stringop-overread -Wno-dangling-reference)
endif()

function(mts_set_options target)
  target_compile_features(${target} PUBLIC cxx_std_20)
  target_compile_options(${target} PRIVATE ${mts_warnings})
  if(MTS_SANITIZE)
    target_compile_options(${target} PRIVATE -fsanitize=${MTS_SANITIZE} -fno-omit-frame-pointer
                                             -fno-sanitize-recover=all)
    target_link_options(${target} PRIVATE -fsanitize=${MTS_SANITIZE})
  endif()
endfunction()

# mts_add_library(<folder> [SOURCES file...] [DEPS target...] [PRIVATE_DEPS target...])
#
# The static library mts_<folder> of src/<folder>. DEPS are visible to its users, PRIVATE_DEPS (third parties) are not.
# A folder without sources yet becomes an INTERFACE library that passes its DEPS on. Every folder is installed, see
# Install.cmake.
function(mts_add_library folder)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS;PRIVATE_DEPS" ${ARGN})
  set(target mts_${folder})
  if(ARG_SOURCES)
    add_library(${target} STATIC ${ARG_SOURCES})
    set(scope PUBLIC)
    mts_set_options(${target})
    target_link_libraries(${target} PRIVATE ${ARG_PRIVATE_DEPS})
  else()
    add_library(${target} INTERFACE)
    set(scope INTERFACE)
  endif()
  target_include_directories(${target} ${scope}
    "$<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>"
    "$<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/src>"
    "$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>")
  target_link_libraries(${target} ${scope} ${ARG_DEPS})
  set_target_properties(${target} PROPERTIES EXPORT_NAME ${folder})
  install(TARGETS ${target} EXPORT mtsTargets)
  set_property(GLOBAL APPEND PROPERTY mts_folders ${target})
endfunction()

# mts_precompile(<target> <header>...)
#
# Headers that take seconds to parse and that most files of the target include. Not with ccache, which would then
# share nothing between checkouts: it saves more.
function(mts_precompile target)
  if(NOT MTS_CCACHE)
    target_precompile_headers(${target} PRIVATE ${ARGN})
  endif()
endfunction()

# mts_add_test(<name> SOURCES file... [DEPS target...] [LABELS label...] [CALLS_PROGRAM])
#
# One GoogleTest program and one ctest entry. It runs in the root of the source tree, so tests open their data as
# "tests/golden/...". Its label is its folder's name, unless LABELS says otherwise. A test that CALLS_PROGRAM finds the
# mts program's path in the environment variable MTS_PROGRAM. For ONNX's own test data see TestData.cmake.
function(mts_add_test name)
  cmake_parse_arguments(ARG "CALLS_PROGRAM" "" "SOURCES;DEPS;LABELS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  mts_set_options(${name})
  target_include_directories(${name} PRIVATE "${PROJECT_SOURCE_DIR}")
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} GTest::gmock GTest::gtest_main)
  if(NOT ARG_LABELS)
    cmake_path(GET CMAKE_CURRENT_SOURCE_DIR FILENAME ARG_LABELS)
  endif()
  add_test(NAME ${name} COMMAND ${name})
  set(environment ${mts_test_environment})
  if(ARG_CALLS_PROGRAM)
    list(APPEND environment "MTS_PROGRAM=$<TARGET_FILE:mts>")
    add_dependencies(${name} mts)
  endif()
  set_tests_properties(${name} PROPERTIES
    LABELS "${ARG_LABELS}" TIMEOUT 600 WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}" ENVIRONMENT "${environment}")
endfunction()
