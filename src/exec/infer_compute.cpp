// Shape functions of operators that compute (see bind.h).
#include "exec/geometry.h"
#include "exec/infer_families.h"

#include <algorithm>
#include <array>
#include <numeric>

namespace mts::exec::infer {

Result<bool> same(const Node&, Facts inputs, std::vector<Fact>& outputs) {
  if (!shaped(inputs, 0)) return false;
  outputs[0] = Fact::shaped(inputs[0]->dtype, inputs[0]->dims);
  return outputs.size() == 1;
}
// The first output only: the others are absent in inference (Dropout's mask, BatchNormalization's
// statistics).
Result<bool> same_bool(const Node&, Facts inputs, std::vector<Fact>& outputs) {
  if (!shaped(inputs, 0)) return false;
  outputs[0] = Fact::shaped(DType::kBool, inputs[0]->dims);
  return true;
}

Result<bool> cast(const Node& node, Facts inputs, std::vector<Fact>& outputs) {
  if (!shaped(inputs, 0)) return false;
  DType to = static_cast<DType>(node.int_or("to", 0));
  if (node.op_type == "CastLike") {
    if (!shaped(inputs, 1)) return false;
    to = inputs[1]->dtype;
  }
  outputs[0] = Fact::shaped(to, inputs[0]->dims);
  return true;
}

static Result<bool> broadcast_as(const Node& node, Facts inputs, DType dtype, std::vector<Fact>& outputs) {
  Dims dims;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!shaped(inputs, i)) return false;
    const std::optional<Dims> joined = broadcast(dims, inputs[i]->dims);
    if (!joined)
      return mismatch(node,
                      "shapes do not broadcast: " + to_string(dims) + " and " + to_string(inputs[i]->dims));
    dims = *joined;
  }
  outputs[0] = Fact::shaped(dtype, std::move(dims));
  return true;
}
Result<bool> broadcasting(const Node& node, Facts inputs, std::vector<Fact>& outputs) {
  if (!shaped(inputs, 0) || node.int_or("broadcast", 0) != 0) return false;
  return broadcast_as(node, inputs, inputs[0]->dtype, outputs);
}
Result<bool> comparing(const Node& node, Facts inputs, std::vector<Fact>& outputs) {
  if (node.int_or("broadcast", 0) != 0) return false;
  return broadcast_as(node, inputs, DType::kBool, outputs);
}
Result<bool> where(const Node& node, Facts inputs, std::vector<Fact>& outputs) {
  if (!shaped(inputs, 1)) return false;
  return broadcast_as(node, inputs, inputs[1]->dtype, outputs);
}

Result<bool> conv(const Node& node, Facts inputs, std::vector<Fact>& outputs) {
  if (!shaped(inputs, 0) || !shaped(inputs, 1)) return false;
  MTS_ASSIGN(const Window window, window_of(node, inputs[0]->dims, inputs[1]->dims));
  Dims dims = {inputs[0]->dims[0],
               window.transposed ? inputs[1]->dims[1] * window.groups : inputs[1]->dims[0]};
  dims.insert(dims.end(), window.output.begin(), window.output.end());
  outputs[0] = Fact::shaped(inputs[0]->dtype, std::move(dims));
  return true;
}
Result<bool> pool(const Node& node, Facts inputs, std::vector<Fact>& outputs) {
  if (!shaped(inputs, 0) || inputs[0]->dims.size() < 3) return false;
  MTS_ASSIGN(const Window window, window_of(node, inputs[0]->dims, {}));
  Dims dims = {inputs[0]->dims[0], inputs[0]->dims[1]};
  dims.insert(dims.end(), window.output.begin(), window.output.end());
  for (size_t i = 0; i < outputs.size(); ++i)
    outputs[i] = Fact::shaped(i == 0 ? inputs[0]->dtype : DType::kInt64, dims);
  return true;
}
Result<bool> global_pool(const Node&, Facts inputs, std::vector<Fact>& outputs) {
  if (!shaped(inputs, 0) || inputs[0]->dims.size() < 2) return false;
  Dims dims = inputs[0]->dims;
  std::fill(dims.begin() + 2, dims.end(), 1);
  outputs[0] = Fact::shaped(inputs[0]->dtype, std::move(dims));
  return true;
}

Result<bool> matmul(const Node& node, Facts inputs, std::vector<Fact>& outputs) {
  if (!shaped(inputs, 0) || !shaped(inputs, 1)) return false;
  const std::optional<Dims> dims = matmul_dims(inputs[0]->dims, inputs[1]->dims);
  if (!dims) {
    return mismatch(node, "shapes cannot be multiplied: " + to_string(inputs[0]->dims) + " and " +
                              to_string(inputs[1]->dims));
  }
  outputs[0] = Fact::shaped(inputs[0]->dtype, *dims);
  return true;
}
Result<bool> gemm(const Node& node, Facts inputs, std::vector<Fact>& outputs) {
  if (!shaped(inputs, 0) || !shaped(inputs, 1)) return false;
  Dims a = inputs[0]->dims, b = inputs[1]->dims;
  if (a.size() != 2 || b.size() != 2) return mismatch(node, "Gemm needs matrices");
  if (node.int_or("transA", 0) != 0) std::swap(a[0], a[1]);
  if (node.int_or("transB", 0) != 0) std::swap(b[0], b[1]);
  if (a[1] != b[0])
    return mismatch(node, "shapes cannot be multiplied: " + to_string(a) + " and " + to_string(b));
  outputs[0] = Fact::shaped(inputs[0]->dtype, {a[0], b[1]});
  return true;
}

Result<bool> reduce(const Node& node, Facts inputs, std::vector<Fact>& outputs) {
  if (!shaped(inputs, 0)) return false;
  if (at(inputs, 1) != nullptr && !ints(inputs, 1)) return false;
  const std::optional<std::vector<bool>> reduced =
      reduced_axes(node, inputs[0]->dims.size(), at(inputs, 1) == nullptr ? std::nullopt : ints(inputs, 1));
  if (!reduced) return mismatch(node, "axis out of range");
  Dims dims;
  for (size_t i = 0; i < inputs[0]->dims.size(); ++i) {
    if (!(*reduced)[i]) {
      dims.push_back(inputs[0]->dims[i]);
    } else if (node.int_or("keepdims", 1) != 0) {
      dims.push_back(1);
    }
  }
  outputs[0] = Fact::shaped(inputs[0]->dtype, std::move(dims));
  return true;
}
Result<bool> arg_reduce(const Node& node, Facts inputs, std::vector<Fact>& outputs) {
  if (!shaped(inputs, 0)) return false;
  const std::optional<size_t> axis = normal_axis(node.int_or("axis", 0), inputs[0]->dims.size());
  if (!axis) return mismatch(node, "axis out of range");
  Dims dims = inputs[0]->dims;
  if (node.int_or("keepdims", 1) != 0) {
    dims[*axis] = 1;
  } else {
    dims.erase(dims.begin() + static_cast<std::ptrdiff_t>(*axis));
  }
  outputs[0] = Fact::shaped(DType::kInt64, std::move(dims));
  return true;
}

Result<bool> layer_norm(const Node& node, Facts inputs, std::vector<Fact>& outputs) {
  return outputs.size() == 1 ? same(node, inputs, outputs) : Result<bool>(false);
}

}  // namespace mts::exec::infer
