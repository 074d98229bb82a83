// Casts, comparisons, logic, integer arithmetic, Where, and functions that elementwise programs do not have.
#include "exec/cuda/kernels/map.h"

#include "exec/cuda/own/families.h"
#include "exec/cuda/own/launch_kernel.h"
#include "exec/cuda/own/operands.h"

#include <string_view>

namespace mts::exec::cuda {
namespace {

enum class Types : uint8_t {
  kAny,  // every type
  kBool,
  kInteger,  // without uint64, which int64 arithmetic does not order
  kNumber,   // floats and these integers
  kFloat,
  kWrapping,  // numbers and uint64: arithmetic that does not look at signs
};
struct Row {
  std::string_view op;
  MapOp map;
  Types types;
};
constexpr Row kRows[] = {
    {"Cast", MapOp::kCast, Types::kAny},
    {"CastLike", MapOp::kCast, Types::kAny},
    {"Not", MapOp::kNot, Types::kBool},
    {"Neg", MapOp::kNeg, Types::kWrapping},
    {"Abs", MapOp::kAbs, Types::kNumber},
    {"Sign", MapOp::kSign, Types::kNumber},
    {"Relu", MapOp::kRelu, Types::kNumber},
    {"Sqrt", MapOp::kSqrt, Types::kFloat},
    {"Exp", MapOp::kExp, Types::kFloat},
    {"Log", MapOp::kLog, Types::kFloat},
    {"Sin", MapOp::kSin, Types::kFloat},
    {"Cos", MapOp::kCos, Types::kFloat},
    {"Round", MapOp::kRound, Types::kFloat},
    {"Floor", MapOp::kFloor, Types::kFloat},
    {"Ceil", MapOp::kCeil, Types::kFloat},
    {"Tanh", MapOp::kTanh, Types::kFloat},
    {"Sigmoid", MapOp::kSigmoid, Types::kFloat},
    {"Erf", MapOp::kErf, Types::kFloat},
    {"Reciprocal", MapOp::kReciprocal, Types::kFloat},
    {"IsNaN", MapOp::kIsNaN, Types::kFloat},
    {"IsInf", MapOp::kIsInf, Types::kFloat},
    {"Softsign", MapOp::kSoftsign, Types::kFloat},
    {"Mish", MapOp::kMish, Types::kFloat},
    {"Selu", MapOp::kSelu, Types::kFloat},
    {"Celu", MapOp::kCelu, Types::kFloat},
    {"ThresholdedRelu", MapOp::kThresholdedRelu, Types::kFloat},
    {"BitwiseNot", MapOp::kBitwiseNot, Types::kWrapping},
    {"Add", MapOp::kAdd, Types::kWrapping},
    {"Sub", MapOp::kSub, Types::kWrapping},
    {"Mul", MapOp::kMul, Types::kWrapping},
    {"Div", MapOp::kDiv, Types::kNumber},
    {"Pow", MapOp::kPow, Types::kFloat},
    {"Max", MapOp::kMax, Types::kNumber},
    {"Min", MapOp::kMin, Types::kNumber},
    {"Mod", MapOp::kMod, Types::kNumber},
    {"And", MapOp::kAnd, Types::kBool},
    {"Or", MapOp::kOr, Types::kBool},
    {"Xor", MapOp::kXor, Types::kBool},
    {"Equal", MapOp::kEqual, Types::kAny},
    {"Less", MapOp::kLess, Types::kNumber},
    {"LessOrEqual", MapOp::kLessOrEqual, Types::kNumber},
    {"Greater", MapOp::kGreater, Types::kNumber},
    {"GreaterOrEqual", MapOp::kGreaterOrEqual, Types::kNumber},
    {"BitwiseAnd", MapOp::kBitwiseAnd, Types::kWrapping},
    {"BitwiseOr", MapOp::kBitwiseOr, Types::kWrapping},
    {"BitwiseXor", MapOp::kBitwiseXor, Types::kWrapping},
    {"BitShift", MapOp::kShiftLeft, Types::kWrapping},
    {"Where", MapOp::kWhere, Types::kAny},
};

const Row* row_of(const ExecPlan& plan, const Step& step) {
  const Node* const node = node_of(plan, step);
  if (node == nullptr || !node->domain.empty() || node->int_or("broadcast", 0) != 0) return nullptr;
  for (const Row& row : kRows) {
    if (row.op == step.op) return &row;
  }
  return nullptr;
}

bool allowed(Types types, ScalarType type) {
  const bool integer = arithmetic_of(type) == Arithmetic::kInteger && type != ScalarType::kBool;
  switch (types) {
    case Types::kAny:
      return true;
    case Types::kBool:
      return type == ScalarType::kBool;
    case Types::kInteger:
      return integer && type != ScalarType::kUint64;
    case Types::kNumber:
      return type != ScalarType::kBool && type != ScalarType::kUint64;
    case Types::kFloat:
      return arithmetic_of(type) != Arithmetic::kInteger;
    case Types::kWrapping:
      return type != ScalarType::kBool;
  }
  return false;
}

// y = x / scale + zero point or back, one scale for all or one along an axis. Integers below 32 bits.
std::optional<MapArgs> quantisation_of(const ExecPlan& plan, const Step& step) {
  const bool quantise = step.op == "QuantizeLinear";
  const Node* const node = node_of(plan, step);
  if ((!quantise && step.op != "DequantizeLinear") || node == nullptr || !has_input(step, 0) ||
      !has_input(step, 1) || node->int_or("block_size", 0) != 0)
    return std::nullopt;
  const PlanValue &x = plan.value(step.inputs[0]), &scale = plan.value(step.inputs[1]),
                  &y = plan.value(step.outputs[0]);
  const DType integers = quantise ? y.dtype : x.dtype;
  const bool narrow = integers == DType::kInt8 || integers == DType::kUint8 || integers == DType::kInt16 ||
                      integers == DType::kUint16 || (!quantise && integers == DType::kInt32);
  if (!narrow || (quantise ? x : y).dtype != DType::kFloat32 || scale.dtype != DType::kFloat32 ||
      y.layout != 0 || x.layout != 0)
    return std::nullopt;
  MapArgs args;
  args.op = quantise ? MapOp::kQuantize : MapOp::kDequantize;
  args.types[0] = *scalar_type_of(x.dtype);
  args.types[1] = ScalarType::kFloat32;
  args.output_type = *scalar_type_of(y.dtype);
  std::vector<int64_t> along(y.dims.size(), 0);
  if (element_count(scale.dims) != 1) {
    const auto axis = normal_axis(node->int_or("axis", 1), y.dims.size());
    if (!axis || scale.dims != Dims{y.dims[*axis]}) return std::nullopt;
    along[*axis] = 1;
  }
  const std::vector<int64_t> all = row_major_strides(y.dims);
  std::vector<std::vector<int64_t>> strides = {all, all, along};
  args.operands = 2;
  if (has_input(step, 2)) {
    const PlanValue& zero = plan.value(step.inputs[2]);
    if (zero.dtype != integers || element_count(zero.dims) != element_count(scale.dims)) return std::nullopt;
    args.types[2] = *scalar_type_of(zero.dtype);
    args.operands = 3;
    strides.push_back(along);
  }
  const auto nest = nest_of<4>(y.dims, strides);
  if (!nest) return std::nullopt;
  args.nest = *nest;
  return args;
}

bool is_bitwise(MapOp op) {
  return op == MapOp::kBitwiseNot || (op >= MapOp::kBitwiseAnd && op <= MapOp::kShiftRight);
}

std::optional<MapArgs> args_of(const ExecPlan& plan, const Step& step) {
  if (auto quantisation = quantisation_of(plan, step)) return quantisation;
  const Row* const row = row_of(plan, step);
  if (row == nullptr) return std::nullopt;
  const Node& node = *node_of(plan, step);
  MapArgs args;
  args.op = row->map;
  const auto operands = static_cast<size_t>(operands_of(args.op));
  const bool like = step.op == "CastLike";  // its second operand gives the type only
  if (step.inputs.size() != operands + (like ? 1 : 0)) return std::nullopt;
  args.operands = static_cast<int32_t>(operands);
  const PlanValue& output = plan.value(step.outputs[0]);
  const auto output_type = scalar_type_of(output.dtype);
  if (!output_type || output.layout != 0) return std::nullopt;
  args.output_type = *output_type;
  std::vector<std::vector<int64_t>> strides = {row_major_strides(output.dims)};
  for (size_t k = 0; k < operands; ++k) {
    if (step.inputs[k] == kAbsent) return std::nullopt;
    const PlanValue& value = plan.value(step.inputs[k]);
    const auto type = scalar_type_of(value.dtype);
    if (!type || value.dims.size() > output.dims.size()) return std::nullopt;
    const bool condition = args.op == MapOp::kWhere && k == 0;
    if (!condition && !allowed(row->types, *type)) return std::nullopt;
    args.types[k] = *type;
    strides.push_back(broadcast_strides(value.dims, output.dims));
  }
  const ScalarType first = args.types[args.op == MapOp::kWhere ? 1 : 0], last = args.types[operands - 1];
  if (operands > 1 && first != last) return std::nullopt;
  args.arithmetic = arithmetic_of(first);
  const bool bits = is_bitwise(args.op);
  if (bits && args.arithmetic != Arithmetic::kInteger) return std::nullopt;
  if (args.op == MapOp::kCast) {
    // Through int64, uint64 would lose its upper half as a float; through float, a double its last bits.
    if (args.types[0] == ScalarType::kUint64 && arithmetic_of(*output_type) != Arithmetic::kInteger)
      return std::nullopt;
  }
  if (args.op == MapOp::kMod && node.int_or("fmod", 0) != 0) args.op = MapOp::kFmod;
  if (step.op == "BitShift" && node.string_or("direction", "LEFT") == "RIGHT") args.op = MapOp::kShiftRight;
  if (args.op == MapOp::kIsInf) {
    args.alpha = static_cast<float>(node.int_or("detect_positive", 1));
    args.beta = static_cast<float>(node.int_or("detect_negative", 1));
  } else if (args.op == MapOp::kSelu) {
    args.alpha = node.float_or("alpha", 1.67326319217681884765625f);
    args.beta = node.float_or("gamma", 1.05070102214813232421875f);
  } else {
    args.alpha = node.float_or("alpha", 1.f);
  }
  const auto nest = nest_of<4>(output.dims, strides);
  if (!nest) return std::nullopt;
  args.nest = *nest;
  return args;
}

}  // namespace

bool accepts_map(const ExecPlan& plan, const Step& step) {
  return step.outputs.size() == 1 && all_fit(plan, step) && args_of(plan, step).has_value();
}

KernelResult make_map(OwnDevice& device, const ExecPlan& plan, const Step& step) {
  const MapArgs args = *args_of(plan, step);
  return make_launch(device, launch_map, args,
                     [inputs = step.inputs, output = step.outputs[0]](MapArgs& a, const Pointers& p) {
                       for (int k = 0; k < a.operands; ++k) a.inputs[k] = p[inputs[static_cast<size_t>(k)]];
                       a.output = p[output];
                     });
}

}  // namespace mts::exec::cuda
