# ccache, where it is installed and nothing else was asked for.

if(NOT DEFINED CMAKE_CXX_COMPILER_LAUNCHER)
  find_program(MTS_CCACHE ccache)
  mark_as_advanced(MTS_CCACHE)
  if(MTS_CCACHE)
    set(CMAKE_CXX_COMPILER_LAUNCHER "${MTS_CCACHE}")
  endif()
endif()
