# ccache, where it is installed and nothing else was asked for. Paths count from the source tree, so that checkouts
# side by side share what they have in common.

if(NOT DEFINED CMAKE_CXX_COMPILER_LAUNCHER)
  find_program(MTS_CCACHE ccache)
  mark_as_advanced(MTS_CCACHE)
  if(MTS_CCACHE)
    set(CMAKE_CXX_COMPILER_LAUNCHER "${CMAKE_COMMAND}" -E env "CCACHE_BASEDIR=${PROJECT_SOURCE_DIR}" CCACHE_NOHASHDIR=1
        "${MTS_CCACHE}")
    set(CMAKE_CUDA_COMPILER_LAUNCHER ${CMAKE_CXX_COMPILER_LAUNCHER})
  endif()
endif()
