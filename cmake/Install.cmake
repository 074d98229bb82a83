# `cmake --install`: the mts program, the static libraries, the public headers and a CMake package whose target
# mts::mts another project links after find_package(mts).
#
# The libraries stay apart (one a folder) and mts::mts names them all in order. What the distribution offers (fmt,
# spdlog, protobuf, ...) is found again on the other side by mtsConfig.cmake. What the build bootstrapped (ONNX,
# oneDNN) goes into <libdir>/mts/ of the install tree, which may be moved as a whole.

include(CMakePackageConfigHelpers)

get_property(mts_folders GLOBAL PROPERTY mts_folders)
add_library(mts_all INTERFACE)
add_library(mts::mts ALIAS mts_all)
target_link_libraries(mts_all INTERFACE ${mts_folders})
set_target_properties(mts_all PROPERTIES EXPORT_NAME mts)

set(mts_package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/mts")
set(mts_bundle_dir "${CMAKE_INSTALL_LIBDIR}/mts")

install(TARGETS mts_all mts_onnx_proto EXPORT mtsTargets)
install(EXPORT mtsTargets NAMESPACE mts:: DESTINATION "${mts_package_dir}")
install(DIRECTORY include/mts DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" FILES_MATCHING PATTERN "*.h")
install(FILES LICENSE DESTINATION "${CMAKE_INSTALL_DOCDIR}")

# The headers of a bundled library are its own business: only its targets file wants the empty folder.
if(mts_onnx_prefix)
  install(DIRECTORY "${mts_onnx_prefix}/lib" DESTINATION "${mts_bundle_dir}/onnx")
  install(DIRECTORY DESTINATION "${mts_bundle_dir}/onnx/include")
endif()
if(mts_onednn_prefix)
  install(DIRECTORY "${mts_onednn_prefix}/lib" "${mts_onednn_prefix}/share" DESTINATION "${mts_bundle_dir}/onednn")
  install(DIRECTORY DESTINATION "${mts_bundle_dir}/onednn/include")
endif()

configure_package_config_file(cmake/mtsConfig.cmake.in "${CMAKE_BINARY_DIR}/mtsConfig.cmake"
  INSTALL_DESTINATION "${mts_package_dir}" PATH_VARS mts_bundle_dir NO_CHECK_REQUIRED_COMPONENTS_MACRO)
write_basic_package_version_file("${CMAKE_BINARY_DIR}/mtsConfigVersion.cmake" COMPATIBILITY SameMinorVersion)
install(FILES "${CMAKE_BINARY_DIR}/mtsConfig.cmake" "${CMAKE_BINARY_DIR}/mtsConfigVersion.cmake" cmake/FindXxHash.cmake
        DESTINATION "${mts_package_dir}")
