#include <mts/model_io.h>

#include <onnx/checker.h>

namespace mts {

Result<void> check_file(const std::string& path) {
  try {
    onnx::checker::check_model(path);
    return {};
  } catch (const std::exception& error) {
    return fail(ErrorCode::kModel, error.what(), {.file = path, .node = {}, .value = {}});
  }
}

}  // namespace mts
