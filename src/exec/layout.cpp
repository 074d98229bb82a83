#include "exec/layout.h"

#include "exec/geometry.h"

#include <span>

namespace mts::exec {

bool is_ambiguous(const Dims& dims) {
  return dims.size() < 3 || dims[1] == 1 || element_count(std::span(dims).subspan(2)) == 1 ||
         element_count(dims) == 0;
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

ValueIndex LayoutCopies::as(ValueIndex v, int32_t wanted) {
  if (!plan_.value(v).is_static || is_ambiguous(plan_.value(v).dims)) wanted = kRowMajor;
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
