// Shape functions (see bind.h). A table with one line an operator; families share a function.
#include "exec/bind.h"
#include "exec/geometry.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <optional>
#include <string_view>

namespace mts::exec {
namespace {

using Facts = std::span<const Fact* const>;
// False: not enough is known (or the attributes ask for something unusual).
using Infer = Result<bool> (*)(const Node&, Facts, std::vector<Fact>&);

const Fact* at(Facts inputs, size_t i) { return i < inputs.size() ? inputs[i] : nullptr; }
bool shaped(Facts inputs, size_t i) { return at(inputs, i) != nullptr && inputs[i]->is_shaped(); }

std::optional<std::vector<int64_t>> ints(Facts inputs, size_t i) {
  if (at(inputs, i) == nullptr || inputs[i]->tensor() == nullptr) return std::nullopt;
  return to_int64s(*inputs[i]->tensor());
}

Result<bool> mismatch(const Node& node, std::string what) {
  return fail(ErrorCode::kModel, std::move(what), {.file = {}, .node = node.label(), .value = {}});
}

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

Result<bool> broadcast_as(const Node& node, Facts inputs, DType dtype, std::vector<Fact>& outputs) {
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

Result<bool> reshape(const Node& node, Facts inputs, std::vector<Fact>& outputs) {
  if (!shaped(inputs, 0)) return false;
  std::optional<std::vector<int64_t>> target = ints(inputs, 1);
  if (!target && node.find("shape") != nullptr) target = node.ints_or("shape", {});
  if (!target) return false;
  const Dims& from = inputs[0]->dims;
  Dims dims = *target;
  int64_t known = 1, unknown = -1;
  for (size_t i = 0; i < dims.size(); ++i) {
    if (dims[i] == 0 && node.int_or("allowzero", 0) == 0) {
      if (i >= from.size()) return mismatch(node, "a 0 in the shape names a dimension that the input lacks");
      dims[i] = from[i];
    }
    if (dims[i] == -1 && unknown < 0) {
      unknown = static_cast<int64_t>(i);
    } else {
      known *= dims[i];
    }
  }
  const int64_t count = element_count(from);
  if (unknown >= 0) dims[static_cast<size_t>(unknown)] = known == 0 ? 0 : count / known;
  if (element_count(dims) != count ||
      std::any_of(dims.begin(), dims.end(), [](int64_t d) { return d < 0; })) {
    return mismatch(node, "cannot reshape " + to_string(from) + " to " + to_string(*target));
  }
  outputs[0] = Fact::shaped(inputs[0]->dtype, std::move(dims));
  return true;
}
Result<bool> flatten(const Node& node, Facts inputs, std::vector<Fact>& outputs) {
  if (!shaped(inputs, 0)) return false;
  const Dims& from = inputs[0]->dims;
  int64_t axis = node.int_or("axis", 1);
  if (axis < 0) axis += static_cast<int64_t>(from.size());
  if (axis < 0 || axis > static_cast<int64_t>(from.size())) return mismatch(node, "axis out of range");
  const auto middle = static_cast<size_t>(axis);
  outputs[0] = Fact::shaped(inputs[0]->dtype, {element_count(std::span(from).first(middle)),
                                               element_count(std::span(from).subspan(middle))});
  return true;
}
// Squeeze and Unsqueeze: axes from the attribute (before opset 13) or the second input.
std::optional<std::vector<int64_t>> axes_of(const Node& node, Facts inputs) {
  if (node.find("axes") != nullptr) return node.ints_or("axes", {});
  return ints(inputs, 1);
}
Result<bool> squeeze(const Node& node, Facts inputs, std::vector<Fact>& outputs) {
  if (!shaped(inputs, 0)) return false;
  const Dims& from = inputs[0]->dims;
  std::vector<bool> drop(from.size(), false);
  if (node.find("axes") == nullptr && at(inputs, 1) == nullptr) {
    for (size_t i = 0; i < from.size(); ++i) drop[i] = from[i] == 1;
  } else {
    const auto axes = axes_of(node, inputs);
    if (!axes) return false;
    for (int64_t axis : *axes) {
      const auto normal = normal_axis(axis, from.size());
      if (!normal || from[*normal] != 1)
        return mismatch(node, "cannot squeeze axis " + std::to_string(axis) + " of " + to_string(from));
      drop[*normal] = true;
    }
  }
  Dims dims;
  for (size_t i = 0; i < from.size(); ++i) {
    if (!drop[i]) dims.push_back(from[i]);
  }
  outputs[0] = Fact::shaped(inputs[0]->dtype, std::move(dims));
  return true;
}
Result<bool> unsqueeze(const Node& node, Facts inputs, std::vector<Fact>& outputs) {
  const auto axes = axes_of(node, inputs);
  if (!shaped(inputs, 0) || !axes) return false;
  const Dims& from = inputs[0]->dims;
  std::vector<bool> added(from.size() + axes->size(), false);
  for (int64_t axis : *axes) {
    const auto normal = normal_axis(axis, added.size());
    if (!normal || added[*normal]) return mismatch(node, "cannot insert axis " + std::to_string(axis));
    added[*normal] = true;
  }
  Dims dims;
  size_t next = 0;
  for (bool is_new : added) dims.push_back(is_new ? 1 : from[next++]);
  outputs[0] = Fact::shaped(inputs[0]->dtype, std::move(dims));
  return true;
}
Result<bool> transpose(const Node& node, Facts inputs, std::vector<Fact>& outputs) {
  if (!shaped(inputs, 0)) return false;
  const auto order = permutation_of(node, inputs[0]->dims.size());
  if (!order) return mismatch(node, "perm is not a permutation of the axes of " + to_string(inputs[0]->dims));
  Dims dims;
  for (size_t axis : *order) dims.push_back(inputs[0]->dims[axis]);
  outputs[0] = Fact::shaped(inputs[0]->dtype, std::move(dims));
  return true;
}
Result<bool> concat(const Node& node, Facts inputs, std::vector<Fact>& outputs) {
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!shaped(inputs, i)) return false;
  }
  if (inputs.empty()) return false;
  Dims dims = inputs[0]->dims;
  const auto axis = normal_axis(node.int_or("axis", 1), dims.size());
  if (!axis) return mismatch(node, "axis out of range");
  for (size_t i = 1; i < inputs.size(); ++i) {
    const Dims& other = inputs[i]->dims;
    for (size_t d = 0; d < dims.size(); ++d) {
      if (other.size() != dims.size() || (d != *axis && other[d] != dims[d])) {
        return mismatch(node,
                        "cannot concatenate " + to_string(inputs[0]->dims) + " and " + to_string(other));
      }
    }
    dims[*axis] += other[*axis];
  }
  outputs[0] = Fact::shaped(inputs[0]->dtype, std::move(dims));
  return true;
}
Result<bool> split(const Node& node, Facts inputs, std::vector<Fact>& outputs) {
  if (!shaped(inputs, 0)) return false;
  const Dims& from = inputs[0]->dims;
  const auto axis = normal_axis(node.int_or("axis", 0), from.size());
  if (!axis) return mismatch(node, "axis out of range");
  std::vector<int64_t> lengths = node.ints_or("split", {});
  if (at(inputs, 1) != nullptr) {
    const auto given = ints(inputs, 1);
    if (!given) return false;
    lengths = *given;
  }
  if (lengths.empty()) {
    const auto parts = static_cast<int64_t>(outputs.size());
    const int64_t chunk = (from[*axis] + parts - 1) / parts;
    for (int64_t i = 0; i < parts; ++i)
      lengths.push_back(std::clamp<int64_t>(from[*axis] - i * chunk, 0, chunk));
  }
  if (lengths.size() != outputs.size() ||
      std::accumulate(lengths.begin(), lengths.end(), int64_t{0}) != from[*axis]) {
    return mismatch(node, "the lengths of the split do not add up to " + std::to_string(from[*axis]));
  }
  for (size_t i = 0; i < outputs.size(); ++i) {
    Dims dims = from;
    dims[*axis] = lengths[i];
    outputs[i] = Fact::shaped(inputs[0]->dtype, std::move(dims));
  }
  return true;
}
Result<bool> gather(const Node& node, Facts inputs, std::vector<Fact>& outputs) {
  if (!shaped(inputs, 0) || !shaped(inputs, 1)) return false;
  const Dims& from = inputs[0]->dims;
  const auto axis = normal_axis(node.int_or("axis", 0), from.size());
  if (!axis) return mismatch(node, "axis out of range");
  Dims dims(from.begin(), from.begin() + static_cast<std::ptrdiff_t>(*axis));
  dims.insert(dims.end(), inputs[1]->dims.begin(), inputs[1]->dims.end());
  dims.insert(dims.end(), from.begin() + static_cast<std::ptrdiff_t>(*axis) + 1, from.end());
  outputs[0] = Fact::shaped(inputs[0]->dtype, std::move(dims));
  return true;
}
Result<bool> expand(const Node& node, Facts inputs, std::vector<Fact>& outputs) {
  const auto target = ints(inputs, 1);
  if (!shaped(inputs, 0) || !target) return false;
  const auto dims = broadcast(inputs[0]->dims, *target);
  if (!dims)
    return mismatch(node, "cannot expand " + to_string(inputs[0]->dims) + " to " + to_string(*target));
  outputs[0] = Fact::shaped(inputs[0]->dtype, *dims);
  return true;
}
Result<bool> constant_of_shape(const Node& node, Facts inputs, std::vector<Fact>& outputs) {
  const auto dims = ints(inputs, 0);
  if (!dims || std::any_of(dims->begin(), dims->end(), [](int64_t d) { return d < 0; })) return false;
  DType dtype = DType::kFloat32;
  if (const Attribute* value = node.find("value")) {
    const auto* weight = std::get_if<WeightPtr>(&value->value);
    if (weight == nullptr || *weight == nullptr) return false;
    dtype = (*weight)->dtype();
  }
  outputs[0] = Fact::shaped(dtype, *dims);
  return true;
}
Result<bool> slice(const Node& node, Facts inputs, std::vector<Fact>& outputs) {
  if (!shaped(inputs, 0)) return false;
  std::array<std::optional<std::vector<int64_t>>, 4> operands;
  for (size_t i = 1; i < inputs.size(); ++i) {
    if (at(inputs, i) == nullptr) continue;
    operands[i - 1] = ints(inputs, i);
    if (!operands[i - 1]) return false;
  }
  const auto ranges = slice_ranges(node, inputs[0]->dims, operands[0], operands[1], operands[2], operands[3]);
  if (!ranges)
    return mismatch(node, "starts, ends, axes and steps do not fit the input " + to_string(inputs[0]->dims));
  Dims dims;
  for (const SliceRange& range : *ranges) dims.push_back(range.length);
  outputs[0] = Fact::shaped(inputs[0]->dtype, std::move(dims));
  return true;
}

Result<bool> layer_norm(const Node& node, Facts inputs, std::vector<Fact>& outputs) {
  return outputs.size() == 1 ? same(node, inputs, outputs) : Result<bool>(false);
}

struct Entry {
  std::string_view op;
  Infer infer;
};
constexpr Entry kTable[] = {
    {"Abs", same},
    {"Acos", same},
    {"Acosh", same},
    {"Asin", same},
    {"Asinh", same},
    {"Atan", same},
    {"Atanh", same},
    {"BatchNormalization", same},
    {"BitwiseNot", same},
    {"Ceil", same},
    {"Celu", same},
    {"Clip", same},
    {"Cos", same},
    {"Cosh", same},
    {"CumSum", same},
    {"Dropout", same},
    {"Elu", same},
    {"Erf", same},
    {"Exp", same},
    {"Floor", same},
    {"Gelu", same},
    {"GroupNormalization", same},
    {"HardSigmoid", same},
    {"HardSwish", same},
    {"Hardmax", same},
    {"Identity", same},
    {"InstanceNormalization", same},
    {"LRN", same},
    {"LeakyRelu", same},
    {"Log", same},
    {"LogSoftmax", same},
    {"LpNormalization", same},
    {"MeanVarianceNormalization", same},
    {"Mish", same},
    {"Neg", same},
    {"RMSNormalization", same},
    {"Reciprocal", same},
    {"Relu", same},
    {"Round", same},
    {"Selu", same},
    {"Sigmoid", same},
    {"Sign", same},
    {"Sin", same},
    {"Sinh", same},
    {"Softmax", same},
    {"Softplus", same},
    {"Softsign", same},
    {"Sqrt", same},
    {"Swish", same},
    {"Tan", same},
    {"Tanh", same},
    {"ThresholdedRelu", same},
    {"Trilu", same},
    {"LayerNormalization", layer_norm},
    {"IsInf", same_bool},
    {"IsNaN", same_bool},
    {"Not", same_bool},
    {"Cast", cast},
    {"CastLike", cast},
    {"Add", broadcasting},
    {"BitShift", broadcasting},
    {"BitwiseAnd", broadcasting},
    {"BitwiseOr", broadcasting},
    {"BitwiseXor", broadcasting},
    {"Div", broadcasting},
    {"Max", broadcasting},
    {"Mean", broadcasting},
    {"Min", broadcasting},
    {"Mod", broadcasting},
    {"Mul", broadcasting},
    {"PRelu", broadcasting},
    {"Pow", broadcasting},
    {"Sub", broadcasting},
    {"Sum", broadcasting},
    {"And", comparing},
    {"Equal", comparing},
    {"Greater", comparing},
    {"GreaterOrEqual", comparing},
    {"Less", comparing},
    {"LessOrEqual", comparing},
    {"Or", comparing},
    {"Xor", comparing},
    {"Where", where},
    {"Conv", conv},
    {"ConvTranspose", conv},
    {"AveragePool", pool},
    {"LpPool", pool},
    {"MaxPool", pool},
    {"GlobalAveragePool", global_pool},
    {"GlobalLpPool", global_pool},
    {"GlobalMaxPool", global_pool},
    {"Gemm", gemm},
    {"MatMul", matmul},
    {"ReduceL1", reduce},
    {"ReduceL2", reduce},
    {"ReduceLogSum", reduce},
    {"ReduceLogSumExp", reduce},
    {"ReduceMax", reduce},
    {"ReduceMean", reduce},
    {"ReduceMin", reduce},
    {"ReduceProd", reduce},
    {"ReduceSum", reduce},
    {"ReduceSumSquare", reduce},
    {"ArgMax", arg_reduce},
    {"ArgMin", arg_reduce},
    {"Concat", concat},
    {"ConstantOfShape", constant_of_shape},
    {"Expand", expand},
    {"Flatten", flatten},
    {"Gather", gather},
    {"Reshape", reshape},
    {"Slice", slice},
    {"Split", split},
    {"Squeeze", squeeze},
    {"Transpose", transpose},
    {"Unsqueeze", unsqueeze},
};

// Operators whose output dims follow from the content of these operands; -1: from data, whatever is known.
struct ShapeOperands {
  std::string_view op;
  std::array<int, 4> operands;
};
constexpr int kNone = -2, kData = -1;
constexpr ShapeOperands kShapeOperands[] = {
    {"AffineGrid", {1, kNone, kNone, kNone}},
    {"BlackmanWindow", {0, kNone, kNone, kNone}},
    {"CenterCropPad", {1, kNone, kNone, kNone}},
    {"Col2Im", {1, 2, kNone, kNone}},
    {"Compress", {kData, kNone, kNone, kNone}},
    {"ConcatFromSequence", {kData, kNone, kNone, kNone}},
    {"ConstantOfShape", {0, kNone, kNone, kNone}},
    {"DFT", {1, 2, kNone, kNone}},
    {"Expand", {1, kNone, kNone, kNone}},
    {"HammingWindow", {0, kNone, kNone, kNone}},
    {"HannWindow", {0, kNone, kNone, kNone}},
    {"If", {kData, kNone, kNone, kNone}},
    {"ImageDecoder", {kData, kNone, kNone, kNone}},
    {"Loop", {kData, kNone, kNone, kNone}},
    {"MaxUnpool", {2, kNone, kNone, kNone}},
    {"MelWeightMatrix", {0, 1, kNone, kNone}},
    {"NonMaxSuppression", {kData, kNone, kNone, kNone}},
    {"NonZero", {kData, kNone, kNone, kNone}},
    {"OneHot", {1, kNone, kNone, kNone}},
    {"Optional", {kData, kNone, kNone, kNone}},
    {"OptionalGetElement", {kData, kNone, kNone, kNone}},
    {"OptionalHasElement", {kData, kNone, kNone, kNone}},
    {"Pad", {1, 3, kNone, kNone}},
    {"Range", {0, 1, 2, kNone}},
    {"Reshape", {1, kNone, kNone, kNone}},
    {"Resize", {1, 2, 3, kNone}},
    {"STFT", {1, 3, kNone, kNone}},
    {"Scan", {kData, kNone, kNone, kNone}},
    {"SequenceAt", {kData, kNone, kNone, kNone}},
    {"SequenceConstruct", {kData, kNone, kNone, kNone}},
    {"SequenceEmpty", {kData, kNone, kNone, kNone}},
    {"SequenceErase", {kData, kNone, kNone, kNone}},
    {"SequenceInsert", {kData, kNone, kNone, kNone}},
    {"SequenceLength", {kData, kNone, kNone, kNone}},
    {"SequenceMap", {kData, kNone, kNone, kNone}},
    {"Slice", {1, 2, 3, 4}},
    {"Split", {1, kNone, kNone, kNone}},
    {"SplitToSequence", {kData, kNone, kNone, kNone}},
    {"Squeeze", {1, kNone, kNone, kNone}},
    {"StringNormalizer", {kData, kNone, kNone, kNone}},
    {"StringSplit", {kData, kNone, kNone, kNone}},
    {"Tile", {1, kNone, kNone, kNone}},
    {"TopK", {1, kNone, kNone, kNone}},
    {"Unique", {kData, kNone, kNone, kNone}},
    {"Unsqueeze", {1, kNone, kNone, kNone}},
    {"Upsample", {1, kNone, kNone, kNone}},
    {"ZipMap", {kData, kNone, kNone, kNone}},
    {"DictVectorizer", {kData, kNone, kNone, kNone}},
};

constexpr std::string_view kRandom[] = {"Bernoulli",        "Multinomial",   "RandomNormal",
                                        "RandomNormalLike", "RandomUniform", "RandomUniformLike"};

}  // namespace

Result<bool> infer_dims(const Node& node, Facts inputs, std::vector<Fact>& outputs) {
  if (!node.domain.empty()) return false;
  for (const Entry& entry : kTable) {
    if (entry.op == node.op_type) return entry.infer(node, inputs, outputs);
  }
  return false;
}

bool has_static_dims(const Node& node, Facts inputs) {
  if (!node.domain.empty() && node.domain != "ai.onnx.ml") return false;
  if (!node.subgraphs().empty()) return false;
  for (const Fact* input : inputs) {
    if (input != nullptr && !input->is_shaped()) return false;
  }
  const bool reduces = node.op_type.starts_with("Reduce");
  if (reduces && at(inputs, 1) != nullptr && !inputs[1]->is_content()) return false;
  for (const ShapeOperands& entry : kShapeOperands) {
    if (entry.op != node.op_type) continue;
    for (int operand : entry.operands) {
      if (operand == kData) return false;
      if (operand == kNone) break;
      const Fact* fact = at(inputs, static_cast<size_t>(operand));
      if (fact != nullptr && !fact->is_content()) return false;
    }
  }
  return true;
}

bool is_random(const Node& node) {
  if (node.op_type == "Dropout")
    return node.inputs.size() > 2 && node.inputs[2] != kNoValue;  // may be training
  return node.domain.empty() &&
         std::find(std::begin(kRandom), std::end(kRandom), node.op_type) != std::end(kRandom);
}

}  // namespace mts::exec
