# Targets that check the sources, none of them part of `all`:
#   format_check  fails where clang-format would change something
#   format        changes it
#   tidy          clang-tidy with .clang-tidy, warnings are errors
#   lint          format_check and tidy
#
# Other versions of clang-format lay code out otherwise, so it is one version everywhere: 14.0.6, Debian 12's, else
# PyPI's. tools/lint does this and can look at changed files only.

foreach(check IN ITEMS format_check format tidy lint)
  add_custom_target(${check}
    COMMAND "${PROJECT_SOURCE_DIR}/tools/lint" ${check} --build-dir "${PROJECT_BINARY_DIR}"
    WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}" USES_TERMINAL VERBATIM)
endforeach()
