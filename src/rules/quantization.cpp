// QuantizeLinear, DequantizeLinear and the quantised operators. DynamicQuantizeLinear takes one scale over
// the whole tensor and has no rule: folding models into it would change every result.
#include "rules/factories.h"
#include "rules/families.h"

#include <algorithm>

namespace mts::rules {
namespace {

bool is_scalar(const Operand& operand) {
  if (operand.absent() || operand.rank() == 0) return true;
  const auto dims = static_dims(operand.type());
  return dims && element_count(*dims) == 1;
}

constexpr size_t kLargestGenerated = 1024;  // bytes: the contract's bound

// A shared scale or zero point beside one that differs: a small constant that says it once a model.
bool repeatable(const Lane& lane, const Operand& operand) {
  const Weight* const weight = operand.shared_weight();
  return weight != nullptr && weight->byte_size() * lane.size() <= kLargestGenerated;
}

ValueId repeated(const Lane& lane, const Operand& operand, Builder& builder) {
  WeightPtr one = operand.weights.front();
  if (one->dims().empty()) one = Weight::reshape(one, {1});
  return builder.constant(Weight::concat(std::vector<WeightPtr>(lane.size(), one), 0));
}

// A value per model, [M], as [M, 1, ..]: along the model axis of a value of `rank` dimensions with it.
ValueId along(ValueId value, int32_t axis, size_t rank, Builder& builder) {
  std::vector<int64_t> ones;
  for (size_t i = static_cast<size_t>(axis) + 1; i < rank; ++i)
    ones.push_back(static_cast<int64_t>(ones.size()) + 1);
  return ones.empty() ? value : builder.unsqueeze(value, std::move(ones));
}

bool all_zero(const Operand& operand) {
  return operand.absent() ||
         (!operand.weights.empty() && std::ranges::all_of(operand.weights, [](const auto& w) {
           return w != nullptr && std::ranges::all_of(w->as_doubles(), [](double v) { return v == 0; });
         }));
}

// (Cast(x) - Cast(zero point)) * scale. As DequantizeLinear it would be right, too, but ONNX Runtime fuses
// that into a product behind it (MatMulIntegerToFloat, QLinearMatMul), which then takes one scale only and
// fails.
Values dequantise_per_model(const Lane& lane, const Option& option, const Values& inputs, Builder& builder) {
  const Type output = fused_outputs(lane, option).front();
  const int32_t axis = option.operands[0].placement.axis;
  const auto cast = [&](ValueId value) {
    Type type = builder.graph().value(value).type;
    type.dtype = output.dtype;
    return builder.node("Cast", {value}, {{"to", static_cast<int64_t>(output.dtype), {}}}, type);
  };
  ValueId x = cast(inputs[0]);
  if (!all_zero(lane.operand(2)))
    x = builder.node("Sub", {x, cast(along(inputs[2], axis, output.rank(), builder))}, {}, output);
  return {builder.node("Mul", {x, along(inputs[1], axis, output.rank(), builder)}, {}, output)};
}

}  // namespace

// Scale and zero point shared: elementwise, or along `axis` when they are per channel. Scalars that differ
// become a scale per model along the stacked model axis. Where only one of scale and zero point differs, as
// after calibration of symmetric types, the other is repeated.
Proposal propose_quantize_linear(const Lane& lane) {
  const Operand &x = lane.operand(0), &scale = lane.operand(1), &zero_point = lane.operand(2);
  if (!static_dims(scale.type()) || (!zero_point.absent() && !static_dims(zero_point.type())))
    return Proposal::refuse("its scale has no static shape");
  if (lane.node().int_or("block_size", 0) != 0) return Proposal::refuse("it is quantised in blocks");
  if (!scale.mapped() && !zero_point.mapped()) {
    AxisUse use;
    if (!is_scalar(scale)) {
      int64_t axis = lane.node().int_or("axis", 1);
      if (!normalise_axis(axis, x.rank())) return Proposal::refuse("its axis is out of range");
      use.touched.push_back(static_cast<int32_t>(axis));
    }
    return propose_axis_op(lane, 0, use);
  }
  if (!x.mapped()) return Proposal::refuse("the data is the same but the scales differ");
  for (const Operand* parameter : {&scale, &zero_point})
    if (parameter->once() && !repeatable(lane, *parameter))
      return Proposal::refuse("scale and zero point are partly shared");
  const auto form_of = [](const Operand& operand, const Form& when_mapped) {
    return operand.absent() ? Form::absent() : operand.once() ? Form::once() : when_mapped;
  };
  Proposal proposal;
  if (!is_scalar(scale)) {  // a scale per channel: the models' channels one after the other
    int64_t axis = lane.node().int_or("axis", 1);
    if (!normalise_axis(axis, x.rank())) return Proposal::refuse("its axis is out of range");
    const Form channels = Form::fused({static_cast<int32_t>(axis), Fold::kConcat}),
               parameters = Form::fused({0, Fold::kConcat});
    Option option{.strategy = Strategy::kGroup,
                  .operands = {channels, form_of(scale, parameters)},
                  .outputs = {channels}};
    if (lane.operands.size() > 2) option.operands.push_back(form_of(zero_point, parameters));
    proposal.options.push_back(std::move(option));
    return proposal;
  }
  if (lane.opset < 13) return Proposal::refuse("before opset 13 it takes one scale only");
  const Form parameters = Form::fused({0, Fold::kStacked});
  for (Placement candidate : candidates_of(x)) {
    candidate.fold = Fold::kStacked;
    Option option{.strategy = Strategy::kGroup,
                  .operands = {Form::fused(candidate), form_of(scale, parameters)},
                  .outputs = {Form::fused(candidate)}};
    if (lane.operands.size() > 2) option.operands.push_back(form_of(zero_point, parameters));
    add_unique(proposal.options, std::move(option));
  }
  return proposal;
}

Values emit_quantize_linear(const Lane& lane, const Option& option, Span operands, Builder& builder) {
  Node prototype = Builder::like(lane.node());
  const Placement placement = option.operands[0].placement;
  const bool per_channel = !is_scalar(lane.operand(1));
  if (option.strategy == Strategy::kBatch) {
    if (per_channel) {
      int64_t axis = lane.node().int_or("axis", 1);
      normalise_axis(axis, lane.operand(0).rank());
      prototype.set("axis", shifted(axis, placement));
    }
    return emit_like(std::move(prototype), lane, option, operands, builder);
  }
  prototype.set("axis", static_cast<int64_t>(placement.axis));
  const auto models = static_cast<int64_t>(lane.size());
  Values inputs(operands.begin(), operands.end());
  for (size_t i = 1; i < inputs.size(); ++i) {
    if (inputs[i] == kNoValue) continue;
    if (lane.operand(i).once())
      inputs[i] = repeated(lane, lane.operand(i), builder);
    else if (!per_channel)
      inputs[i] = builder.reshape(inputs[i], operand_extents(lane, i, option.operands[i]), {{models, {}}});
  }
  if (!per_channel && lane.node().is("DequantizeLinear") && !lane.operand(0).constant)
    return dequantise_per_model(lane, option, inputs, builder);
  return emit_like(std::move(prototype), lane, option, inputs, builder);
}

// QLinearConv, QLinearMatMul, ConvInteger, MatMulInteger: a mapped input, everything else once, batch on axis
// 0.
Proposal propose_quantized_shared(const Lane& lane) {
  const std::string& op = lane.node().op_type;
  const bool matmul = op == "QLinearMatMul" || op == "MatMulInteger";
  const bool scaled =
      op == "QLinearConv" || op == "QLinearMatMul";  // x, its scale and zero point, w, ..; else x, w, ..
  if (matmul && (lane.operand(0).rank() < 2 || lane.operand(scaled ? 3 : 1).rank() != 2))
    return Proposal::refuse("its second operand is no matrix");
  // Parameters of the data and the output may differ from row to row.
  for (const size_t parameter : scaled ? std::vector<size_t>{1, 2, 6, 7} : std::vector<size_t>{2})
    if (!is_scalar(lane.operand(parameter))) return Proposal::refuse("it has a scale or zero point per row");
  std::vector<int32_t> touched;
  for (int32_t axis = 1; axis < lane.operand(0).rank(); ++axis) touched.push_back(axis);
  return propose_axis_op(lane, 0, {.touched = touched, .removed = {}, .stackable = false, .preferred = {}});
}

}  // namespace mts::rules
