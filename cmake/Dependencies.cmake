# Everything that comes from outside. Only src/onnx links mts_onnx_proto, only src/exec links DNNL::dnnl, only src/exec/cuda links CUDA.

set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)
find_package(OpenMP REQUIRED COMPONENTS CXX)  # clang: libomp-<version>-dev
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(tl-expected REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(XxHash REQUIRED)
set(OPENSSL_USE_STATIC_LIBS ON)
find_package(OpenSSL REQUIRED COMPONENTS Crypto)  # SHA-256

if(MTS_BUILD_TOOLS)
  find_package(CLI11 REQUIRED)
endif()
if(MTS_BUILD_TESTS)
  find_package(GTest REQUIRED)
endif()

include(Onnx)
include(OneDnn)
include(Cuda)
