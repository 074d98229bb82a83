// Operators on [B, C, *] that treat every (batch, channel) plane by itself, or mix channels of one batch
// entry.
#include "rules/factories.h"
#include "rules/families.h"

#include <algorithm>

namespace mts::rules {
namespace {

std::vector<int32_t> axes_from(int32_t first, int32_t rank) {
  std::vector<int32_t> axes;
  for (int32_t axis = first; axis < rank; ++axis) axes.push_back(axis);
  return axes;
}

}  // namespace

Proposal propose_pool(const Lane& lane) {
  if (lane.has_output(1)) return Proposal::refuse("its indices count through the whole batch");
  return propose_axis_op(
      lane, 0,
      {.touched = axes_from(2, lane.operand(0).rank()), .removed = {}, .stackable = false, .preferred = {}});
}

Proposal propose_depth_space(const Lane& lane) {
  return propose_axis_op(
      lane, 0,
      {.touched = axes_from(1, lane.operand(0).rank()), .removed = {}, .stackable = false, .preferred = {}});
}

// The signal's frames; step, window and frame length are the layer's.
Proposal propose_stft(const Lane& lane) {
  AxisUse use{.touched = {}, .removed = {}, .stackable = false, .preferred = {}};
  for (int32_t axis = 1; axis < lane.operand(0).rank(); ++axis) use.touched.push_back(axis);
  return propose_axis_op(lane, 0, use);
}

// Resize, Upsample: only along axes that keep their size.
Proposal propose_resize(const Lane& lane) {
  const Operand& x = lane.operand(0);
  if (!x.mapped()) return Proposal::refuse("the data is the same but another operand differs");
  if (!lane.operand(1).absent() && lane.operand(1).type().rank() == 1 &&
      lane.operand(1).type().shape->front() != Dim::known(0) &&
      lane.node().string_or("coordinate_transformation_mode", "") == "tf_crop_and_resize")
    return Proposal::refuse("it crops");
  if (lane.node().find("axes") != nullptr) {
    std::vector<int32_t> touched;
    for (int64_t axis : lane.node().ints_or("axes", {})) {
      if (!normalise_axis(axis, x.rank())) return Proposal::refuse("an axis is out of range");
      touched.push_back(static_cast<int32_t>(axis));
    }
    return propose_axis_op(lane, 0, {.touched = touched, .removed = {}, .stackable = false, .preferred = {}});
  }
  std::vector<int32_t> touched;
  const Type& y = lane.output_type();
  for (int32_t axis = 0; axis < x.rank(); ++axis) {
    const auto a = static_cast<size_t>(axis);
    if (!(*x.type().shape)[a].same_as((*y.shape)[a])) touched.push_back(axis);
  }
  // Sizes are given for every axis: those of the merged one must be known as a number or be rewritten from
  // scales.
  const Operand& sizes = lane.operand(3);
  if (!sizes.absent()) {
    if (sizes.shared_weight() == nullptr) return Proposal::refuse("its sizes are computed at run time");
    const Dims values = sizes.shared_weight()->as_int64s();
    if (values.size() != static_cast<size_t>(x.rank()))
      return Proposal::refuse("its sizes do not cover all axes");
  } else {
    const Operand& scales = lane.operand(lane.opset < 11 ? 1 : 2);
    if (scales.absent() || scales.shared_weight() == nullptr)
      return Proposal::refuse("its scales are computed at run time");
    const auto values = scales.shared_weight()->as_doubles();
    for (size_t axis = 0; axis < values.size(); ++axis)
      if (values[axis] != 1.0) touched.push_back(static_cast<int32_t>(axis));
  }
  return propose_axis_op(lane, 0, {.touched = touched, .removed = {}, .stackable = false, .preferred = {}});
}

Values emit_resize(const Lane& lane, const Option& option, Span operands, Builder& builder) {
  Values inputs(operands.begin(), operands.end());
  if (inputs.size() > 3 && inputs[3] != kNoValue && lane.node().find("axes") == nullptr) {
    Dims sizes = lane.operand(3).shared_weight()->as_int64s();
    const auto merged = static_cast<size_t>(option.operands[0].placement.merged_axis());
    int64_t sum = 0;  // the sizes say [B, ..]: with the models folded in, the sum of theirs
    for (const Type& member : lane.operand(0).types) {
      const Dim& dim = (*member.shape)[merged];
      sum += dim.is_known() ? dim.value : sizes[merged];
    }
    sizes[merged] = sum;
    inputs[3] = builder.ints(std::move(sizes));
  }
  return emit_same(lane, option, inputs, builder);
}

}  // namespace mts::rules
