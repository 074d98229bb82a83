# The CUDA plugin's toolkit. MTS_CUDA: AUTO builds the plugin where a CUDA toolkit (12 or newer) with cuDNN 9 is found,
# ON requires them, OFF does not look. Sets mts_cuda_enabled. With it:
#   CUDA::*             the toolkit, from FindCUDAToolkit
#   mts_cudnn           cuDNN's library
#   mts_cudnn_frontend  its header-only C++ API, from PyPI; 40 s to compile: one file of the plugin includes it
# No program links any of these: only the plugin does, so that mts starts everywhere.

include(DepsCache)
include(CheckLanguage)

set(MTS_CUDA AUTO CACHE STRING "Build the CUDA plugin: AUTO (where a toolkit with cuDNN is found), ON, OFF")
set_property(CACHE MTS_CUDA PROPERTY STRINGS AUTO ON OFF)

# Sets <out> to the folder of cudnn_frontend.h.
function(mts_fetch_cudnn_frontend out)
  set(version 1.32.0)
  set(prefix "${MTS_DEPS_CACHE}/cudnn-frontend-${version}")
  set(${out} "${prefix}/include" PARENT_SCOPE)
  if(EXISTS "${prefix}/.done")
    return()
  endif()
  mts_lock_deps_cache()
  if(NOT EXISTS "${prefix}/.done")
    # The wheel is one for each version of Python, but the headers in it are the same: always that of one version.
    set(wheel "nvidia_cudnn_frontend-${version}-cp311-cp311-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl")
    mts_pip_download(nvidia-cudnn-frontend ${version}
      c6006556017a4d1c914c52a556c71b1267f2d6a0500f742e7b4edef539878df0 "${wheel}"
      TAGS --python-version 3.11 --implementation cp --abi cp311 --platform manylinux_2_28_x86_64)
    set(work "${CMAKE_BINARY_DIR}/_cudnn_frontend")
    file(REMOVE_RECURSE "${work}" "${prefix}")
    file(ARCHIVE_EXTRACT INPUT "${MTS_DEPS_CACHE}/${wheel}" DESTINATION "${work}" PATTERNS "include/*")
    file(COPY "${work}/include" DESTINATION "${prefix}")
    file(REMOVE_RECURSE "${work}")
    file(REMOVE "${MTS_DEPS_CACHE}/${wheel}")
    file(TOUCH "${prefix}/.done")
  endif()
  mts_unlock_deps_cache()
endfunction()

# Why there can be no plugin; empty when there can.
function(mts_find_cuda out)
  find_package(CUDAToolkit 12 QUIET)
  if(NOT CUDAToolkit_FOUND)
    set(${out} "no CUDA toolkit 12 or newer" PARENT_SCOPE)
    return()
  endif()
  find_path(MTS_CUDNN_INCLUDE_DIR cudnn.h HINTS ${CUDAToolkit_INCLUDE_DIRS})
  find_library(MTS_CUDNN_LIBRARY cudnn HINTS ${CUDAToolkit_LIBRARY_DIR})
  mark_as_advanced(MTS_CUDNN_INCLUDE_DIR MTS_CUDNN_LIBRARY)
  if(NOT MTS_CUDNN_INCLUDE_DIR OR NOT MTS_CUDNN_LIBRARY OR NOT TARGET CUDA::cublasLt)
    set(${out} "the CUDA toolkit ${CUDAToolkit_VERSION} has no cuDNN or no cuBLASLt beside it" PARENT_SCOPE)
    return()
  endif()
  file(STRINGS "${MTS_CUDNN_INCLUDE_DIR}/cudnn_version.h" major REGEX "#define CUDNN_MAJOR ")
  string(REGEX MATCH "[0-9]+" major "${major}")
  if(major STREQUAL "" OR major LESS 9)
    set(${out} "cuDNN is older than 9" PARENT_SCOPE)
    return()
  endif()
  set(${out} "" PARENT_SCOPE)
endfunction()

set(mts_cuda_enabled FALSE)
string(TOUPPER "${MTS_CUDA}" mts_cuda_wanted)
if(mts_cuda_wanted)  # AUTO counts as true
  mts_find_cuda(mts_cuda_refusal)
  if(mts_cuda_refusal STREQUAL "")
    find_package(CUDAToolkit 12 QUIET)  # its targets belong to the directory that asked
    # sm_80 to sm_100: code for Ampere and Hopper, PTX of Hopper for what is newer. Known before the compiler is
    # looked at, whose own default may be an architecture that it dropped.
    if(NOT CMAKE_CUDA_ARCHITECTURES)
      set(CMAKE_CUDA_ARCHITECTURES "80-real;90" CACHE STRING "GPU architectures of the plugin")
    endif()
    if(NOT CMAKE_CUDA_COMPILER AND CUDAToolkit_NVCC_EXECUTABLE)
      set(CMAKE_CUDA_COMPILER "${CUDAToolkit_NVCC_EXECUTABLE}")
    endif()
    check_language(CUDA)
    if(NOT CMAKE_CUDA_COMPILER)
      set(mts_cuda_refusal "nvcc does not compile")
    endif()
  endif()
  if(mts_cuda_refusal STREQUAL "")
    set(CMAKE_CUDA_RUNTIME_LIBRARY Shared)  # cuDNN and cuBLASLt bring the same
    enable_language(CUDA)
    set(mts_cuda_enabled TRUE)
    add_library(mts_cudnn INTERFACE)
    target_include_directories(mts_cudnn SYSTEM INTERFACE "${MTS_CUDNN_INCLUDE_DIR}")
    target_link_libraries(mts_cudnn INTERFACE "${MTS_CUDNN_LIBRARY}")
    mts_fetch_cudnn_frontend(mts_cudnn_frontend_dir)
    add_library(mts_cudnn_frontend INTERFACE)
    target_include_directories(mts_cudnn_frontend SYSTEM INTERFACE "${mts_cudnn_frontend_dir}")
    # The file of CUDA::nvrtc: the target would bring the driver's library, which is where a GPU is only.
    target_link_libraries(mts_cudnn_frontend INTERFACE mts_cudnn CUDA::cudart $<TARGET_FILE:CUDA::nvrtc> ${CMAKE_DL_LIBS})
    message(STATUS "CUDA ${CUDAToolkit_VERSION}, cuDNN: ${MTS_CUDNN_LIBRARY}; architectures ${CMAKE_CUDA_ARCHITECTURES}")
  elseif(mts_cuda_wanted STREQUAL "AUTO")
    message(STATUS "CUDA plugin: not built, ${mts_cuda_refusal}; its tests are skipped")
  else()
    message(FATAL_ERROR "MTS_CUDA=${MTS_CUDA}: ${mts_cuda_refusal}")
  endif()
endif()
