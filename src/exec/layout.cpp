#include "exec/layout.h"

#include "exec/geometry.h"

#include <span>

namespace mts::exec {

std::string layout_name(int32_t layout) {
  if (layout == kRowMajor) return "row-major";
  return layout == kChannelsLast ? "channels-last" : "models-first:" + std::to_string(layout);
}

bool is_ambiguous(const Dims& dims, int32_t layout) {
  if (layout == kRowMajor || dims.size() < 3 || element_count(dims) == 0) return true;
  const bool pixel = dims[1] == layout || element_count(std::span(dims).subspan(2)) == 1;
  return pixel && (layout == kChannelsLast || dims[0] == 1);
}

std::vector<int64_t> strides_of(const Dims& dims, int32_t layout) {
  if (layout == kRowMajor || dims.size() < 3) return row_major_strides(dims);
  std::vector<int64_t> strides(dims.size());
  int64_t stride = dims[1];
  strides[1] = 1;
  for (size_t i = dims.size(); i-- > 2;) {
    strides[i] = stride;
    stride *= dims[i];
  }
  strides[0] = stride;
  return strides;
}

Dims split_models(const Dims& dims, int64_t models) {
  Dims split = {models, dims[0], dims[1] / models};
  split.insert(split.end(), dims.begin() + 2, dims.end());
  return split;
}

std::vector<int64_t> split_strides(const Dims& dims, int32_t layout, int64_t models) {
  const int64_t channels = dims[1] / models;
  if (is_models_first(layout)) {
    Dims one = dims;
    one[1] = channels;
    std::vector<int64_t> strides = strides_of(one, kChannelsLast);
    strides.insert(strides.begin(), element_count(one));
    return strides;
  }
  std::vector<int64_t> strides = strides_of(dims, layout);
  strides.insert(strides.begin(), channels * strides[1]);
  return strides;
}

ValueIndex LayoutCopies::as(ValueIndex v, int32_t wanted) {
  if (!plan_.value(v).is_static || is_ambiguous(plan_.value(v).dims, wanted)) wanted = kRowMajor;
  if (plan_.value(v).layout == wanted) return v;
  const auto found = copies_.find({v, wanted});
  if (found != copies_.end()) return found->second;
  const auto copy = static_cast<ValueIndex>(plan_.values.size());
  PlanValue value = plan_.value(v);
  value.layout = wanted;
  value.id = kNoValue;
  value.constant = -1;
  plan_.values.push_back(std::move(value));
  Step reorder;
  reorder.kind = StepKind::kReorder;
  reorder.op = "Reorder";
  reorder.inputs = {v};
  reorder.outputs = {copy};
  reorder.node_inputs = 1;
  plan_.steps.push_back(std::move(reorder));
  copies_[{v, wanted}] = copy;
  return copy;
}

}  // namespace mts::exec
