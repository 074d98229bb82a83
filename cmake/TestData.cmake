# Data of ONNX that tests run on, beside tests/ and models/:
#   MTS_ONNX_NODE_TESTS  operator conformance tests (folders with model.onnx and test_data_set_*), opset <= 25
#   MTS_ONNX_TESTDATA    Debian's libonnx-testdata: the same of opset <= 17, and light model-zoo graphs; may be absent
# Each test finds them in environment variables of these names.

include(DepsCache)

set(MTS_ONNX_NODE_TESTS "" CACHE PATH "ONNX's operator conformance tests; empty: fetched from PyPI's onnx sdist")
option(MTS_FETCH_TEST_DATA "Fetch conformance tests that are not there" ON)
find_path(MTS_ONNX_TESTDATA node/test_abs/model.onnx PATHS /usr/share/libonnx-testdata/data NO_DEFAULT_PATH)

function(mts_fetch_node_tests out)
  set(version 1.20.1)
  set(prefix "${MTS_DEPS_CACHE}/onnx-tests-${version}")
  set(${out} "${prefix}/node" PARENT_SCOPE)
  if(EXISTS "${prefix}/.done")
    return()
  endif()
  mts_lock_deps_cache()
  if(NOT EXISTS "${prefix}/.done")
    set(archive "onnx-${version}.tar.gz")
    mts_pip_download(onnx ${version} ded16de1df563d51fbc1ad885f2a426f814039d8b5f4feb77febe09c0295ad67 "${archive}" SDIST)
    set(work "${CMAKE_BINARY_DIR}/_onnx_tests")
    file(REMOVE_RECURSE "${work}" "${prefix}")
    file(ARCHIVE_EXTRACT INPUT "${MTS_DEPS_CACHE}/${archive}" DESTINATION "${work}"
         PATTERNS "onnx-${version}/onnx/backend/test/data/*")
    file(RENAME "${work}/onnx-${version}/onnx/backend/test/data" "${prefix}")
    file(REMOVE_RECURSE "${work}")
    file(REMOVE "${MTS_DEPS_CACHE}/${archive}")
    file(TOUCH "${prefix}/.done")
  endif()
  mts_unlock_deps_cache()
endfunction()

set(mts_onnx_node_tests "${MTS_ONNX_NODE_TESTS}")
if(NOT mts_onnx_node_tests AND MTS_FETCH_TEST_DATA)
  mts_fetch_node_tests(mts_onnx_node_tests)
endif()
set(mts_test_environment "MTS_ONNX_NODE_TESTS=${mts_onnx_node_tests}")
if(MTS_ONNX_TESTDATA)
  list(APPEND mts_test_environment "MTS_ONNX_TESTDATA=${MTS_ONNX_TESTDATA}")
endif()
