// infer-types: ONNX shape inference fills in the types of values. Facts about the graph, no change of it:
// reports false.
#include "canon/passes.h"

#include <mts/model_io.h>

namespace mts::canon {

Result<bool> infer_value_types(Model& model) {
  MTS_TRY(infer_types(model));
  return false;
}

}  // namespace mts::canon
