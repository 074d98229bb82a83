#include "exec/cpu/window.h"

#include <algorithm>

namespace mts::exec {

bool is_float(const ExecPlan& plan, const Step& step) {
  const auto all = [&](const std::vector<ValueIndex>& values) {
    return std::all_of(values.begin(), values.end(),
                       [&](ValueIndex v) { return v == kAbsent || plan.value(v).dtype == DType::kFloat32; });
  };
  return all(step.inputs) && all(step.outputs);
}

bool is_empty(const Dims& dims) { return element_count(dims) == 0; }

std::vector<int64_t> minus_one(std::vector<int64_t> values) {
  for (int64_t& v : values) --v;
  return values;
}

std::vector<int64_t> end_padding(const Window& w, const Dims& input) {
  std::vector<int64_t> pads = w.pads_end;
  if (w.transposed) {
    // Output padding: the formula of the transposed convolution with a smaller end.
    for (size_t i = 0; i < pads.size(); ++i) pads[i] -= w.output_padding[i];
    return pads;
  }
  for (size_t i = 0; i < pads.size(); ++i) {
    const int64_t reach = (w.kernel[i] - 1) * w.dilations[i] + 1;
    pads[i] = (w.output[i] - 1) * w.strides[i] + reach - input[i + 2] - w.pads_begin[i];
  }
  return pads;
}

}  // namespace mts::exec
